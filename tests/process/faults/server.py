"""A real server in a process of its own, for faults to be done to."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Server:
    """A process that listens."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    def resident(self) -> int:
        """Bytes of memory that it and its workers hold."""
        return sum(map(_resident, family(self.process.pid)))

    def busy(self) -> float:
        """Seconds of CPU that it and its workers have used."""
        return sum(map(_busy, family(self.process.pid)))

    def ends(self, seconds: float = 30) -> int:
        """Its status, within ``seconds``."""
        return self.process.wait(seconds)


@contextmanager
def started(*flags: str, program: tuple[str, ...] = ("app",), **limits: object) -> Iterator[Server]:
    """A server with ``flags``, once it listens; ended in the end with all its workers."""
    command = [sys.executable, "-m", *program, "--port", "0", "--access-log", "false", *flags]
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=file, stderr=file, start_new_session=True, **limits
            )
        try:
            yield Server(process, _port(process, log), log)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, task.read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def _resident(pid: int) -> int:
    with suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


def _busy(pid: int) -> float:
    with suppress(OSError):
        # The second word is the program's name, in brackets (proc_pid_stat(5)).
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    """Where it listens, once every worker does."""
    while True:
        said = log.read_text()
        address = re.search(r"http://\S+", said)
        if address and "Application startup complete" in said:
            return urlsplit(address[0]).port or 0
        assert process.poll() is None, said
        time.sleep(0.02)
