"""Starts a real server in a process of its own, and ends it with its workers."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.waiting import PATIENCE, scaled, until_loaded


@contextmanager
def serving(command: Sequence[str], root: Path, log: Path, port: int = 0) -> Iterator[str]:
    """Start a server in the folder ``root``; gives its address once it has loaded its models."""
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=root, stderr=file)
        try:
            while not (found := re.search(r"http://\S+", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            until_loaded(found[0], workers_in(command))
            yield found[0]
        finally:
            with ended(process):
                process.terminate()
                process.wait(PATIENCE)


@contextmanager
def ended(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> Iterator[None]:
    """Kill ``process`` in the end: a test that has failed would wait for it for ever."""
    try:
        yield
    finally:
        process.kill()


def workers_in(command: Sequence[str]) -> int:
    """The number of workers of a server that ``command`` starts, or that flags ask for."""
    return int(command[command.index("--workers") + 1]) if "--workers" in command else 1


def end_group(process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    """Kill the process group that ``process`` leads, and wait for ``process``.

    Once ``process`` has ended, the others may end by themselves within seconds: multiprocessing's
    resource tracker then writes its coverage, into a file that would be damaged if it was killed.
    """
    end = time.monotonic() + scaled(5)
    with suppress(ProcessLookupError):  # none is left
        while process.poll() is not None and time.monotonic() < end:
            os.killpg(process.pid, 0)
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
