"""Waits for something to become true, long enough for a slow or busy machine."""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

PATIENCE = 60
"""Seconds after which a test has certainly failed, unless the machine is very slow."""
_LOOPS, _USUAL_SECONDS = 400_000, 0.01


def slowness() -> float:
    """How many times longer than on a quiet machine of today work takes here and now; at least 1.

    Measures a loop, which shows a slow CPU, and reads how many processes share the CPUs.
    """
    began = time.perf_counter()
    for _ in range(_LOOPS):
        pass
    measured = (time.perf_counter() - began) / _USUAL_SECONDS
    shared = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 1.0
    return max(1.0, measured, shared)


def scaled(seconds: float) -> float:
    """A time limit of ``seconds`` on a quiet machine, as much longer as this one is slower now."""
    return seconds * slowness()


def _sleep() -> None:
    time.sleep(0.02)


def eventually(holds: Callable[[], object], pause: Callable[[], object] = _sleep) -> None:
    """Return once ``holds()`` is true. Raises AssertionError after PATIENCE, scaled.

    ``pause()`` passes the time between two looks.
    """
    if holds():  # before the machine is measured, which takes a moment
        return
    limit = scaled(PATIENCE)
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"still false after {limit:.0f} seconds"
        pause()


def until_loaded(address: str, workers: int = 1) -> None:
    """Wait until all ``workers`` at ``address`` listen and have loaded all their models.

    They listen earlier on a busy machine, and one of them earlier than the others. So many new
    connections reach every worker.
    """
    if workers > 1 and sys.platform == "linux":
        eventually(lambda: _listening(address) >= workers)
    for _ in range(8 * workers if workers > 1 else 1):
        eventually(lambda: not _loading(address))


def _listening(address: str) -> int:
    """How many sockets listen at the port of ``address``, by Linux's table of connections."""
    port, listens = urlsplit(address).port or 0, "0A"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] == listens for row in rows)


def _loading(address: str) -> bool:
    """Whether the server that answers a new connection still loads models."""
    parts = urlsplit(address)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)) as connection:
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):  # another server, or one that has ended
            return False
    if answer.status == 200:
        return bool(json.loads(content).get("loading"))
    return b"is being loaded" in content
