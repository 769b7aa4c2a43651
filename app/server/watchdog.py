"""Detects an engine that hangs: reports it, and finally ends the process."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

EXIT_STATUS = 70
"""EX_SOFTWARE, an internal software error (BSD's sysexits.h)."""
_CHECKS = 10
"""Checks in the time after which a batch counts as stalled."""


class Watchdog:
    """Checks periodically whether each engine has finished its batch.

    It counts its own checks and does not read the clock: a process that was stopped as a whole has
    not stalled.
    """

    def __init__(
        self,
        running: Callable[[], Iterable[tuple[str, int]]],
        stalled: float,
        on_exit: Callable[[], object] = lambda: None,
    ) -> None:
        """Watch the batches that ``running`` returns.

        ``running`` returns for each model version its name and the number of the batch that it is
        computing, 0 for none. ``stalled`` is the time limit of one batch in seconds; after twice
        that time the process exits, after a call of ``on_exit``.
        """
        self._running, self._stalled, self._on_exit = running, stalled, on_exit
        self._checks: dict[tuple[str, int], int] = {}
        """How many checks in a row found each batch, not counting the first."""
        self._stopped = threading.Event()

    @property
    def reason(self) -> str | None:
        """Which engine has not answered and for how long; None while all of them answer."""
        for (name, _), checks in tuple(self._checks.items()):
            if (seconds := checks * self._stalled / _CHECKS) >= self._stalled:
                return f"the engine of {name} has not answered for {seconds:g} s"
        return None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Check in a thread until the context ends; the event loop itself may be stuck."""
        thread = threading.Thread(target=self._work, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def check(self) -> None:
        """Count for each batch how often in a row it was found running."""
        known = self._checks
        try:
            running = [batch for batch in self._running() if batch[1]]
        except (KeyError, RuntimeError):  # another thread added or removed a version meanwhile
            return
        self._checks = {batch: known.get(batch, -1) + 1 for batch in running}
        was = max(known.values(), default=0)
        if was < _CHECKS <= max(self._checks.values(), default=0):
            logger.error("%s: not ready any more", self.reason)

    def _work(self) -> None:
        while not self._stopped.wait(self._stalled / _CHECKS):
            self.check()
            if max(self._checks.values(), default=0) >= 2 * _CHECKS:
                self._exit()

    def _exit(self) -> None:
        # A hanging thread would prevent the interpreter's regular exit.
        logger.critical("%s: exiting, so that the process can be restarted", self.reason)
        self._on_exit()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_STATUS)
