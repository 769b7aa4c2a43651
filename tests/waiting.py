"""Waits for something to become true, long enough for a busy machine."""

import time
from collections.abc import Callable

PATIENCE = 60
"""Seconds after which a test has certainly failed."""


def eventually(holds: Callable[[], object]) -> None:
    """Return once ``holds()`` is true. Raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"still false after {PATIENCE} seconds"
        time.sleep(0.02)
