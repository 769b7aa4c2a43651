"""Limits how much freed memory the C library keeps for itself."""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
_ARENAS = 2


def limit_arenas() -> bool:
    """Limit glibc to two arenas for all threads (mallopt(3)). Returns whether it did.

    Returns False with any other C library. By default glibc makes up to eight arenas for each CPU.
    Every thread that encodes images fills one of its own, and memory freed there after a large
    response is of no use to other threads: the process grew for twenty minutes.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    return False
