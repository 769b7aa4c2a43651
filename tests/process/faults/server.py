"""A real server in a process of its own, for fault tests."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tests.serving import end_group, workers_in
from tests.waiting import PATIENCE, scaled, until_loaded

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def output(self) -> str:
        """Everything that it has printed so far."""
        return self.log.read_text()

    def resident(self) -> int:
        """Resident memory of the server and its workers in bytes, without trials of versions."""
        return sum(_resident(pid) for pid in family(self.process.pid) if not _is_trial(pid))

    def busy(self) -> float:
        """CPU time of the server and its workers in seconds."""
        return sum(map(_busy, family(self.process.pid)))

    def ends(self, seconds: float = PATIENCE) -> int:
        """Wait for its end; returns the exit status. Raises TimeoutExpired after ``seconds``."""
        return self.process.wait(seconds)


@contextmanager
def started(
    *flags: str,
    program: tuple[str, ...] = ("app",),
    wait: bool = True,
    **limits: object,
) -> Iterator[Server]:
    """Start a server; gives it once it listens and has loaded its models.

    Without ``wait`` it may still be loading them. Ends it with all its workers afterwards.
    """
    command = [sys.executable, "-m", *program, "--port", "0", "--access-log", "false", *flags]
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True, **limits
            )
        try:
            port = _port(process, log)
            if wait:
                until_loaded(f"http://127.0.0.1:{port}", workers_in(flags))
            yield Server(process, port, log)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(scaled(10))
            end_group(process)


def family(pid: int) -> list[int]:
    """The ids of a process and all its descendants."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, task.read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def _is_trial(pid: int) -> bool:
    with suppress(OSError):
        return b"app.registry.trial_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _resident(pid: int) -> int:
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _busy(pid: int) -> float:
    with suppress(OSError):
        # The second field is the name of the program in parentheses (proc_pid_stat(5)).
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """Wait until it listens; returns its port."""
    while True:
        output = log.read_text()
        address = re.search(r"http://\S+", output)
        if address and "Application startup complete" in output:
            return urlsplit(address[0]).port or 0
        assert process.poll() is None, output
        time.sleep(0.02)
