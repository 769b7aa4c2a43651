"""Starts processes of ``app.registry.trial_process`` and talks to them.

It imports little, so that the server can start the first process before it imports its own modules.
"""

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

import app
from app.registry.trial_request import READY, UNTRIED, Request
from app.settings import PREFIX

logger = logging.getLogger(__name__)

_START_SECONDS = 60.0


class TrialProcessError(Exception):
    """A process for trials does not start, for reasons that have nothing to do with a version."""


class TrialProcess:
    """One process of ``app.registry.trial_process``, which tries one version after another."""

    def __init__(self) -> None:
        """Start it. Raises TrialProcessError if the system does not allow that."""
        # The settings may contain keys, which a process that runs foreign graphs need not know.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        paths = [str(Path(app.__file__).parents[1]), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        try:
            self._process = subprocess.Popen(
                # -P: the working directory may hold an app.py that is not ours.
                [sys.executable, "-P", "-m", "app.registry.trial_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # so that Ctrl+C does not reach it
            )
            self._requests = cast("IO[bytes]", self._process.stdin)
            self._answers = cast("IO[bytes]", self._process.stdout)
        except OSError as error:
            raise TrialProcessError(f"no process can be started: {error}") from error
        self._ready = False

    @property
    def alive(self) -> bool:
        """Whether it can try another version."""
        return self._process.poll() is None

    def ask(self, request: Request) -> str | None:
        """The reason why a version cannot be served; None if it can. Logs what was not tried of it.

        Raises TrialProcessError if the process has not started properly.
        """
        if not self._ready and self._line(_START_SECONDS) != READY:
            self.kill()
            raise TrialProcessError(f"its process does not start: {self._end()}")
        self._ready = True
        with suppress(BrokenPipeError):
            self._requests.write(json.dumps(asdict(request)).encode() + b"\n")
            self._requests.flush()
        line = self._line(request.seconds or None)
        if line:
            answer: str | dict[str, list[str]] | None = json.loads(line)
            if not isinstance(answer, dict):
                return answer
            for one in answer[UNTRIED]:
                logger.warning("%s passed its trial, which left this out: %s", request.version, one)
            return None
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
