"""Atomic file writes: a reader sees the old content or the new content, never a part of it."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Replace the content of ``path``, and return once it is on the disk.

    Creates missing parent folders.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _write_partial(path, content)
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def write_unsynced(path: Path, content: bytes) -> None:
    """Replace the content of ``path``, whose folder exists, without waiting for the disk.

    The file stays whole if the process is killed, but perhaps not after a power failure.
    """
    _write_partial(path, content).replace(path)


def partial_path(path: Path) -> Path:
    """Return where ``path`` is written before it is complete."""
    return path.with_name(f"{path.name}.part")


def sync(path: Path) -> None:
    """Wait until the content of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_partial(path: Path, content: bytes) -> Path:
    partial = partial_path(path)
    partial.write_bytes(content)
    return partial
