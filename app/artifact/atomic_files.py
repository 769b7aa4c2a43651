"""Files that are whole at every instant."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Let ``path`` hold ``content``, on the disk; until then it holds what it held before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = _written(path, content)
    sync(unfinished)
    unfinished.replace(path)
    sync(path.parent)


def write_unsynced(path: Path, content: bytes) -> None:
    """The same in an existing folder, and without waiting for the disk.

    A killed process leaves it whole; a machine that loses its power may not.
    """
    _written(path, content).replace(path)


def partial_path(path: Path) -> Path:
    """Where ``path`` is written before it is whole."""
    return path.with_name(f"{path.name}.part")


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(path: Path, content: bytes) -> Path:
    unfinished = partial_path(path)
    unfinished.write_bytes(content)
    return unfinished
