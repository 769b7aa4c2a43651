"""What a test waits for: as long as a busy machine takes, but not for ever."""

import time
from collections.abc import Callable

PATIENCE = 60
"""Seconds that only what hangs takes."""


def eventually(holds: Callable[[], object]) -> None:
    """Return once ``holds()`` is true. Raises AssertionError after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
