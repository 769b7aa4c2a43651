"""How much memory this process may use."""

import os
from pathlib import Path

from app.runtime import control_groups
from app.runtime.control_groups import GROUPS, OWN, words

_LIMITS = ("memory.max", "memory.limit_in_bytes")


def available(cgroups: Path = GROUPS, own: Path = OWN) -> int:
    """The memory in bytes that this process may use: the machine's, or its container's limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    folders = control_groups.folders("memory", cgroups, own)
    found = [word for folder in folders for name in _LIMITS for word in words(folder / name)]
    # Without a limit version 2 says "max", and version 1 a number larger than any memory.
    return min([machine, *(int(word) for word in found if word.isdecimal())])
