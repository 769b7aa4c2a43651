"""Tries versions in processes of their own before the server loads them."""

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

import onnxruntime as ort

import app
from app.artifact.card import Card, CardError, digest
from app.artifact.version_key import VersionKey
from app.registry.trial_process import READY, Request
from app.runtime import memory
from app.runtime.cpus import available
from app.runtime.providers import Placement
from app.settings import PREFIX, Settings

logger = logging.getLogger(__name__)

_MOST_PROCESSES = 4
_HEDGE_SECONDS = 0.5
"""How long a version waits for a process that is busy with another one, before it gets its own."""
_START_SECONDS = 60.0
_IDLE_SECONDS = 3.0
"""How long an idle process stays, as the next version often follows soon."""


class TrialProcessError(Exception):
    """A process for trials does not start, for reasons that have nothing to do with a version."""


class Trials:
    """Loads and runs versions in processes whose memory and time are limited.

    A graph is a program: it may loop without end, allocate any amount of memory, or crash.
    """

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        """``folder`` remembers which graphs have passed; None to remember them in this process."""
        self._settings, self._folder = settings, folder
        self._memory = min(settings.load_memory, memory.available() // 2)
        self._passed: set[str] = set()
        self._idle: list[_TrialProcess] = []
        self._running: set[_TrialProcess] = set()
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
        untried = [one.file for one in variants if not self._has_passed(one.sha256)]
        if untried:
            request = Request(
                models=str(settings.models),
                version=str(key),
                files=untried,
                provider=placements[0].provider,
                threads=settings.threads or available(),
                max_batch=settings.max_batch,
                memory=self._memory,
                seconds=settings.load_timeout,
            )
            if not self._run(request):
                return set()
        hashes = {one.sha256 for one in variants}
        for sha256 in hashes:
            self._remember(sha256)
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

    def _run(self, request: Request) -> bool:
        """Try a version; return False if no process can be started for that."""
        try:
            with self._process() as process:
                reason = process.ask(request)
        except TrialProcessError as error:
            # Serving matters more than a trial: perhaps the machine is only out of processes.
            logger.warning("%s is loaded without a trial: %s", request.version, error)
            return False
        if reason is not None:
            raise CardError(reason)
        return True

    @contextmanager
    def _process(self) -> Iterator["_TrialProcess"]:
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

    def _take_idle(self) -> "_TrialProcess | None":
        """An idle process; None if a new one is to be started, which is counted already."""
        hedge = time.monotonic() + _HEDGE_SECONDS
        with self._changed:
            while True:
                if self._closed:
                    raise CardError("not tried, because the server is shutting down")
                while self._idle:
                    if (process := self._idle.pop()).alive:
                        return process
                    process.dispose()
                count = len(self._running) + self._starting
                if not count or (count < _MOST_PROCESSES and time.monotonic() >= hedge):
                    self._starting += 1
                    return None
                self._changed.wait(_HEDGE_SECONDS)

    def _start(self) -> "_TrialProcess":
        try:
            return _TrialProcess()
        finally:
            with self._changed:
                self._starting -= 1

    def _end_if_idle(self, process: "_TrialProcess") -> None:
        with self._changed:
            if process not in self._idle:
                return
            self._idle.remove(process)
        process.dispose()

    def _has_passed(self, sha256: str) -> bool:
        path = self._path(sha256)
        return sha256 in self._passed or (path is not None and path.exists())

    def _remember(self, sha256: str) -> None:
        self._passed.add(sha256)
        path = self._path(sha256)
        if path is not None and not path.exists():
            with suppress(OSError):  # then it is tried again at the next start
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    def _path(self, sha256: str) -> Path | None:
        """The file that shows that a graph has passed under the present conditions."""
        if self._folder is None:
            return None
        settings = self._settings
        limits = f"{self._memory} {settings.load_timeout} {settings.max_batch}"
        return self._folder / digest(f"{sha256} {limits} {ort.__version__}".encode())


class _TrialProcess:
    """One process of ``app.registry.trial_process``, which tries one version after another."""

    def __init__(self) -> None:
        """Raises TrialProcessError if it does not start."""
        # The settings may contain keys, which a process that runs foreign graphs need not know.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        paths = [str(Path(app.__file__).parents[1]), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.registry.trial_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # so that Ctrl+C does not reach it
            )
            self._requests = cast("IO[bytes]", self._process.stdin)
            self._answers = cast("IO[bytes]", self._process.stdout)
        except OSError as error:
            raise TrialProcessError(f"no process can be started: {error}") from error
        if self._line(_START_SECONDS) != READY:
            self.dispose()
            raise TrialProcessError(f"its process does not start: {self._end()}")

    @property
    def alive(self) -> bool:
        """Whether it can try another version."""
        return self._process.poll() is None

    def ask(self, request: Request) -> str | None:
        """The reason why a version cannot be served; None if it can."""
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(asdict(request)).encode() + b"\n")
            self._requests.flush()
        line = self._line(request.seconds or None)
        if line:
            reason: str | None = json.loads(line)
            return reason
        self.kill()
        if line is None:
            limit = f"{request.seconds:g} s (load_timeout)"
            return f"{request.version}: does not load and run within {limit}"
        return f"{request.version}: ended the process that tried it: {self._end()}"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def dispose(self) -> None:
        """End it and close its pipes. No other thread may use it any more."""
        self.kill()
        self._answers.close()
        with suppress(BrokenPipeError):
            self._requests.close()

    def _end(self) -> str:
        status = self._process.wait()
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def _line(self, seconds: float | None) -> str | None:
        """The next line; empty if the process has ended, None if it comes too late."""
        end = None if seconds is None else time.monotonic() + seconds
        received = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while not received.endswith(b"\n"):
                left = None if end is None else end - time.monotonic()
                if left is not None and (left <= 0 or not selector.select(left)):
                    return None
                if left is None:
                    selector.select()
                part = os.read(self._answers.fileno(), 65536)
                if not part:
                    return ""
                received += part
        return received.decode().strip()
