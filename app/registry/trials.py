"""Tries versions in processes of their own before the server loads them."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.artifact.card import Card, CardError, Encoder, Variant
from app.artifact.version_key import VersionKey
from app.registry.trial_client import TrialProcess, TrialProcessError
from app.registry.trial_request import Request
from app.registry.trial_results import CLOSED, TrialResults
from app.runtime import memory, providers
from app.runtime.cpus import available
from app.runtime.providers import Placement
from app.settings import Settings

logger = logging.getLogger(__name__)

_MOST_PROCESSES = 4
_HEDGE_SECONDS = 0.5
"""How long a version waits for a process that is busy with another one, before it gets its own."""
_IDLE_SECONDS = 3.0
"""How long an idle process stays, as the next version often follows soon."""


class Trials:
    """Loads and runs versions in processes whose memory and time are limited.

    A graph is a program: it may loop without end, allocate any amount of memory, or crash.
    """

    def __init__(
        self, settings: Settings, folder: Path | None, process: TrialProcess | None = None
    ) -> None:
        """``folder`` remembers which graphs have passed; None to remember them in this process.

        ``process`` has been started already, and ends with the trials.
        """
        self._settings = settings
        self._memory = min(settings.load_memory, memory.available() // 2)
        limits = f"{self._memory} {settings.load_timeout} {settings.max_batch}"
        self._results = TrialResults(folder, f"{limits} {providers.identity(Placement())}")
        self._idle = [process] if process else []
        self._running: set[TrialProcess] = set()
        self._starting, self._closed = 0, False
        self._changed = threading.Condition()

    def check(self, key: VersionKey, described: Card, placements: list[Placement]) -> set[str]:
        """Try the graphs that ``placements`` may use; return the hashes of those that pass.

        Returns an empty set if the settings disable trials. Blocks until the trial ends. Raises
        CardError with the reason if the version cannot be served.
        """
        settings = self._settings
        if not (settings.load_timeout or settings.load_memory):
            return set()
        variants = {described.variant(place.provider) for place in placements}
        graphs: list[Variant | Encoder] = [
            *variants,
            *([described.encoder] if described.encoder else []),
        ]
        hashes = {one.sha256 for one in graphs}
        if all(map(self._results.has_passed, hashes)):
            return hashes
        with self._results.turn(hashes, lambda: self._closed):
            untried = [one.file for one in graphs if not self._results.has_passed(one.sha256)]
            if untried and not self._run(self._request(key, untried, placements[0])):
                return set()
            for sha256 in hashes:
                self._results.remember_passed(sha256)
        return hashes

    def close(self) -> None:
        """End all processes. Trials in progress fail."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            for process in self._running:
                process.kill()
            self._changed.notify_all()
        for process in idle:
            process.dispose()

    def _request(self, key: VersionKey, files: list[str], preferred: Placement) -> Request:
        settings = self._settings
        return Request(
            models=str(settings.models),
            version=str(key),
            files=files,
            provider=preferred.provider,
            threads=settings.threads or available(),
            max_batch=settings.max_batch,
            memory=self._memory,
            seconds=settings.load_timeout,
        )

    def _run(self, request: Request) -> bool:
        """Try a version; return False if no process can be started for that. Raises CardError."""
        try:
            with self._process() as process:
                reason = process.ask(request)
        except TrialProcessError as error:
            if self._closed:
                raise CardError(CLOSED) from error
            # Serving matters more than a trial: perhaps the machine is only out of processes.
            logger.warning("%s is loaded without a trial: %s", request.version, error)
            return False
        if reason is not None:
            raise CardError(reason)
        return True

    @contextmanager
    def _process(self) -> Iterator[TrialProcess]:
        """An idle process, or a new one if all are busy."""
        process = self._take_idle() or self._start()
        with self._changed:
            self._running.add(process)
        try:
            yield process
        finally:
            with self._changed:
                self._running.discard(process)
                if keep := process.alive and not self._closed:
                    self._idle.append(process)
                self._changed.notify_all()
            if keep:
                timer = threading.Timer(_IDLE_SECONDS, self._end_if_idle, [process])
                timer.daemon = True
                timer.start()
            else:
                process.dispose()

    def _take_idle(self) -> TrialProcess | None:
        """An idle process; None if a new one is to be started, which is counted already.

        Raises CardError once the trials are closed.
        """
        hedge = time.monotonic() + _HEDGE_SECONDS
        with self._changed:
            while True:
                if self._closed:
                    raise CardError(CLOSED)
                while self._idle:
                    if (process := self._idle.pop()).alive:
                        return process
                    process.dispose()
                count = len(self._running) + self._starting
                if not count or (count < _MOST_PROCESSES and time.monotonic() >= hedge):
                    self._starting += 1
                    return None
                self._changed.wait(_HEDGE_SECONDS)

    def _start(self) -> TrialProcess:
        try:
            return TrialProcess()
        finally:
            with self._changed:
                self._starting -= 1

    def _end_if_idle(self, process: TrialProcess) -> None:
        with self._changed:
            if process not in self._idle:
                return
            self._idle.remove(process)
        process.dispose()
