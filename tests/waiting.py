"""Waits for something to become true, long enough for a slow or busy machine."""

import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
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


def eventually(holds: Callable[[], object]) -> None:
    """Return once ``holds()`` is true. Raises AssertionError after PATIENCE, scaled."""
    limit = scaled(PATIENCE)
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"still false after {limit:.0f} seconds"
        time.sleep(0.02)


def until_loaded(address: str, connections: int = 1) -> None:
    """Wait until the server at ``address`` has loaded all its models.

    It listens earlier on a busy machine. Several connections reach several workers.
    """
    for _ in range(connections):
        eventually(lambda: not _loading(address))


def _loading(address: str) -> bool:
    """Whether the server that answers a new connection still loads models."""
    parts = urlsplit(address)
    with closing(
        HTTPConnection(parts.hostname or "", parts.port, timeout=scaled(30))
    ) as connection:
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):  # another server, or one that has ended
            return False
    if answer.status == 200:
        return bool(json.loads(content).get("loading"))
    return b"is being loaded" in content
