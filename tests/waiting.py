"""Waits for something to become true, long enough for a busy machine."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PATIENCE = 60
"""Seconds after which a test has certainly failed."""


def eventually(holds: Callable[[], object]) -> None:
    """Return once ``holds()`` is true. Raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"still false after {PATIENCE} seconds"
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
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
        try:
            connection.request("GET", "/health/ready")
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):  # another server, or one that has ended
            return False
    if answer.status == 200:
        return bool(json.loads(content).get("loading"))
    return b"is being loaded" in content
