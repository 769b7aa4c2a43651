"""An engine that stops answering: found, told, and in the end ended."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

STATUS = 70
"""The process's status: EX_SOFTWARE, an internal error (BSD's sysexits.h)."""
_LOOKS = 10


class Watchdog:
    """Looks now and then whether each batch has come to an end.

    It counts its own looks, not the time: a process that was stopped as a whole has not stalled.
    """

    def __init__(self, running: Callable[[], Iterable[tuple[str, int]]], stalled: float) -> None:
        """``running`` gives who computes, and the number of its batch, 0 for none."""
        self._running, self._stalled = running, stalled
        self._looks: dict[tuple[str, int], int] = {}
        self._stopped = threading.Event()

    @property
    def reason(self) -> str | None:
        """Who has not answered for how long, if anybody."""
        for (name, _), looks in tuple(self._looks.items()):
            if (seconds := looks * self._stalled / _LOOKS) >= self._stalled:
                return f"the engine of {name} has not answered for {seconds:g} s"
        return None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Meanwhile a thread looks, for the event loop may be what is stuck."""
        thread = threading.Thread(target=self._work, name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _work(self) -> None:
        while not self._stopped.wait(self._stalled / _LOOKS):
            self.look()
            if max(self._looks.values(), default=0) >= 2 * _LOOKS:
                self._end()

    def look(self) -> None:
        """Count how often in a row each batch was seen."""
        known = self._looks
        try:
            running = [batch for batch in self._running() if batch[1]]
        except (KeyError, RuntimeError):  # a version came or went meanwhile, in another thread
            return
        self._looks = {batch: known.get(batch, -1) + 1 for batch in running}
        was = max(known.values(), default=0)
        if was < _LOOKS <= max(self._looks.values(), default=0):
            logger.error("%s: not ready any more", self.reason)

    def _end(self) -> None:
        # What is stuck would keep the interpreter from its ordinary end.
        logger.critical("%s: this process ends, to be started again", self.reason)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STATUS)
