"""How much memory the C library keeps that nothing needs any more."""

import ctypes
import sys
from contextlib import suppress

_M_ARENA_MAX = -8
_ARENAS = 2


def share() -> bool:
    """Let all threads share two of glibc's arenas (mallopt(3)); whether there is a glibc.

    By default there may be eight for each CPU. Every thread that encodes fills one of its own, and
    what a large answer leaves in it is of no use to the others: memory grew for twenty minutes.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    return False
