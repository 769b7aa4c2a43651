"""The version folders in the models folder, and how to notice that one has changed."""

import os
from collections.abc import Iterator
from pathlib import Path

from app.artifact.card import CardError
from app.artifact.version_key import VersionKey

Fingerprint = tuple[tuple[str, int, int, int, int], ...]
"""Name, inode, size, and times of modification and change of every file in a version folder."""


def fingerprints(models: Path) -> dict[VersionKey, Fingerprint]:
    """Return the fingerprint of every version folder ``name/version`` in ``models``, sorted.

    A fingerprint changes whenever a file in the folder does. Folders whose names begin with a dot
    are skipped: they are unfinished publications. Raises OSError.
    """
    return {
        VersionKey(name.name, version.name): _fingerprint(version)
        for name in _folders(models)
        for version in _folders(name)
    }


def _folders(parent: Path) -> Iterator[Path]:
    for path in sorted(parent.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield path


def _fingerprint(folder: Path) -> Fingerprint:
    """Return the fingerprint of ``folder``, or an empty one if it disappears or is not readable.

    The next call or an attempt to load the version then shows what has happened.
    """
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:
        return ()
    return tuple(
        sorted((name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for name, s in found)
    )


def check_inside(folder: Path, models: Path) -> None:
    """Check that ``folder`` and its files lie inside ``models`` once symbolic links are resolved.

    Raises CardError if one lies outside, or cannot be resolved.
    """
    root = models.resolve()
    try:
        paths = [folder, *sorted(folder.iterdir())]
        resolved = {path: path.resolve(strict=True) for path in paths}
    except (OSError, RuntimeError) as error:  # RuntimeError for a loop, before Python 3.13
        raise CardError(f"{folder}: cannot be read: {error}") from error
    for path, target in resolved.items():
        if not target.is_relative_to(root):
            raise CardError(f"{path}: resolves to {target}, outside the models folder")
