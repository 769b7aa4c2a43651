"""A number for each of several processes, which its successor takes over when it ends.

It is the first whose file nobody holds locked. The kernel lets go of the lock however a process
ends, so that none has to be told of.
"""

import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def take(folder: Path) -> int:
    """The lowest free number in ``folder``, which is this process's for as long as it lives."""
    slot = 0
    while not _lock(file := os.open(_path(folder, slot), os.O_RDWR | os.O_CREAT)):
        os.close(file)
        slot += 1
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    return slot  # the file stays open: it is the lock


def taken(folder: Path) -> Iterator[tuple[int, int]]:
    """Every number that is taken, with the id of the process that has it."""
    for slot in count():
        try:
            file = os.open(_path(folder, slot), os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            if not _lock(file) and (pid := os.read(file, 20)):
                yield slot, int(pid)
        finally:
            os.close(file)


def _path(folder: Path, slot: int) -> Path:
    return folder / f"{slot}.slot"


def _lock(file: int) -> bool:
    """Whether nobody had locked ``file`` before."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
