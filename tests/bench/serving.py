"""What the benchmarks of servers share: a server that runs, and the load that wrk puts on it.

wrk is one thread of C (Debian's package ``wrk``) that sends the next request of every connection
when the last one is answered. Server and wrk are on the same machine: its share of the CPUs, some
percent of one, is missing from every server alike.
"""

import json
import os
import re
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


@dataclass(frozen=True)
class Load:
    """What one round of requests found; all but the first in milliseconds."""

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
    """Where a server draws a picture, and what it is told in JSON."""

    url: str
    body: str | None = None


def measured(target: Target, connections: int, seconds: int) -> Load:
    """One round; every answer must be a success."""
    return _load(_wrk(target, connections, seconds, *filter(None, [target.body])))


def staged(target: Target, connections: int, seconds: int) -> tuple[Load, dict[str, float]]:
    """The same of our server, and the mean milliseconds of its stages."""
    found = _wrk(target, connections, seconds, "stages")
    return _load(found), {stage: found[stage] for stage in STAGES}


def _wrk(target: Target, connections: int, seconds: int, *told: str) -> dict[str, float]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", SCRIPT, target.url]
    ended = subprocess.run([*command, "--", *told], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(ended.stderr.splitlines()[-1])
    if found["failures"] or not found["requests"]:
        counts = f"{found['requests']} requests answered, {found['failures']} failed"
        sys.exit(f"{target.url}: {counts} within {seconds} s")
    return found


def _load(found: dict[str, float]) -> Load:
    rate = found["requests"] / found["seconds"]
    return Load(rate, found["p50"], found["p99"], found["mean"])


def answer(target: Target) -> bytes:
    """One picture."""
    headers = {"Accept": "image/png"}
    if target.body:
        headers["Content-Type"] = "application/json"
    data = (target.body or "").encode()
    request = urllib.request.Request(target.url, data, headers, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        content: bytes = response.read()
    return content


@contextmanager
def ours(model: Path, *flags: str, python: str = sys.executable) -> Iterator[Server]:
    """Our server with one version, ``models/<name>/<version>``."""
    with TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        # A link would lead out of the models folder, which no server follows.
        shutil.copytree(model, models / model.parent.name / model.name)
        command = [python, "-m", "app", "--models", models, "--port", "0", *flags]
        log = Path(folder) / "log"
        with running(list(map(str, command)), log) as process:
            while not (found := re.search(r"http://\S+", log.read_text())):
                if process.poll() is not None:
                    sys.exit(log.read_text())
                time.sleep(0.01)
            server = Server(process, found[0])
            # Workers tell their address before they listen.
            await_answer(server, Target(f"{found[0]}/generate?n=1"), log)
            yield server


@contextmanager
def running(
    command: list[str],
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process whose output goes to ``log``; at the end it and all that it started are gone."""
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
            # Not every server waits for what it started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def await_answer(server: Server, target: Target, log: Path) -> None:
    """Until a server that has only just been started draws its first picture."""
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
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def require_wrk() -> None:
    """End with a word where wrk is missing."""
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed; it is Debian's package wrk")
