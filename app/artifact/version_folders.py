"""The models folder as it lies on the disk: its version folders, and whether they change."""

import os
from collections.abc import Iterator
from pathlib import Path

from app.artifact.card import CardError

Fingerprint = tuple[tuple[str, int, int, int, int], ...]
"""Of every file in a version folder: name, inode, size and both times. It changes with them."""


def fingerprints(models: Path) -> dict[str, Fingerprint]:
    """Every version folder ``name/version`` in ``models``, sorted. Raises OSError.

    Names that begin with a dot are unfinished publications.
    """
    return {
        f"{name.name}/{version.name}": _fingerprint(version)
        for name in _folders(models)
        for version in _folders(name)
    }


def _folders(parent: Path) -> Iterator[Path]:
    for path in sorted(parent.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path


def _fingerprint(folder: Path) -> Fingerprint:
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:  # it goes away, or may not be read: the next look tells, or loading
        return ()
    return tuple(
        sorted((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in found)
    )


def check_inside(folder: Path, models: Path) -> None:
    """Raise CardError where ``folder``, or a file in it, really lies outside of ``models``."""
    root = models.resolve()
    try:
        paths = [folder, *sorted(folder.iterdir())]
        real = {path: path.resolve(strict=True) for path in paths}
    except (OSError, RuntimeError) as error:  # the latter for loops, before Python 3.13
        raise CardError(f"{folder}: cannot be read: {error}") from error
    for path, place in real.items():
        if not place.is_relative_to(root):
            raise CardError(f"{path}: leads to {place}, outside of the models folder")
