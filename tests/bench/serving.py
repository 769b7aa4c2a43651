"""Shared by the benchmarks of servers: starting a server, and putting load on it with wrk.

wrk (Debian's package ``wrk``) is one thread, written in C, that sends the next request of a
connection when the previous one is answered. It runs on the server's machine, and takes some
percent of one CPU from every server alike.
"""

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SCRIPT = Path(__file__).with_name("wrk.lua")
STARTS_WITHIN = 120


class FailedLoad(SystemExit):
    """Some requests of a round failed, or none was answered. Ends a benchmark that allows none."""


@dataclass(frozen=True)
class Load:
    """Throughput of one round of requests, and latencies in milliseconds."""

    requests_per_second: float
    p50: float
    p99: float
    mean: float


STAGES = ("queue", "compute", "encode")


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    address: str


@dataclass(frozen=True)
class Target:
    """The URL of a request for an image, its JSON body, if any, and its method."""

    url: str
    body: str | None = None
    method: str = "POST"


def measured(target: Target, connections: int, seconds: int) -> Load:
    """The load of one round. Ends the program if an answer is not a success."""
    return _load(_wrk(target, connections, seconds, *filter(None, [target.body])))


def staged(target: Target, connections: int, seconds: int) -> tuple[Load, dict[str, float]]:
    """The load of one round on our server, and the mean milliseconds of its stages."""
    found = _wrk(target, connections, seconds, "stages")
    return _load(found), {stage: found[stage] for stage in STAGES}


def _wrk(target: Target, connections: int, seconds: int, *arguments: str) -> dict[str, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", SCRIPT, target.url]
    ended = subprocess.run([*command, "--", *arguments], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    if found["failures"] or not found["requests"]:
        counts = f"{found['requests']} requests answered, {found['failures']} failed"
        raise FailedLoad(f"{target.url}: {counts} within {seconds} s")
    return found


def _load(found: dict[str, float]) -> Load:
    rate = found["requests"] / found["seconds"]
    return Load(rate, found["p50"], found["p99"], found["mean"])


def answer(target: Target) -> bytes:
    """The content of one answer. Raises OSError without one."""
    headers = {"Accept": "image/png"}
    if target.body:
        headers["Content-Type"] = "application/json"
    data = (target.body or "").encode()
    request = urllib.request.Request(target.url, data, headers, method=target.method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        content: bytes = response.read()
    return content


@contextmanager
def ours(
    model: Path, *flags: str, python: str = sys.executable, program: str = "app"
) -> Iterator[Server]:
    """Start our server with one version, ``models/<name>/<version>``; gives it once it answers.

    ``program`` is a module that starts it.
    """
    with TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        # Not a link: the server follows none that leads out of the models folder.
        shutil.copytree(model, models / model.parent.name / model.name)
        command = [python, "-m", program, "--models", models, "--port", "0", *flags]
        log = Path(folder) / "log"
        with running(list(map(str, command)), log) as process:
            while not (found := re.search(r"http://\S+", log.read_text())):
                if process.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.01)
            server = Server(process, found[0])
            # Workers print their address before they listen.
            await_answer(server, Target(f"{found[0]}/generate?n=1"), log)
            yield server


@contextmanager
def running(
    command: list[str],
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a process with its output in ``log``; ends it and all its children afterwards."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            # Not every server waits for its children.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def await_answer(server: Server, target: Target, log: Path) -> None:
    """Wait for the first image of a new server. Ends the program if it does not come."""
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            answer(target)
        except OSError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{target.url} does not answer:\n{log.read_text()}")
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    """A port that is free now, below those that the system itself gives to other processes."""
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")  # only on Linux
    lowest = int(given.read_text().split()[0]) if given.exists() else 49152
    while True:
        port = 10_000 + secrets.randbelow(max(lowest, 20_000) - 10_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def require_wrk() -> None:
    """End the program with a message if wrk is missing."""
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed; it is Debian's package wrk")
