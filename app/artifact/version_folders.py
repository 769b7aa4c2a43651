"""The version folders in the models folder, and how to notice that one has changed."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from app.artifact import default_version
from app.artifact.card import CardError
from app.artifact.version_key import VersionKey, printable

Fingerprint = tuple[tuple[str, int, int, int, int], ...]
"""Name, inode, size, and times of modification and change of every file in a version folder."""


@dataclass(frozen=True)
class Scan:
    """The version folders at one time, and the entries that cannot be version folders."""

    fingerprints: dict[VersionKey, Fingerprint]
    """Sorted by name and version. A fingerprint changes whenever a file in the folder does."""
    refused: dict[VersionKey, str]
    """The reason for every folder that is not readable or has an unprintable name, escaped."""
    defaults: dict[str, int] = field(default_factory=dict)
    """The default version of each model that records one."""

    def default(self, name: str) -> int | None:
        """The default version of a model; None if it has no version."""
        keys = (key for key in self.fingerprints if key.name == name)
        numbers = [key.number for key in keys if key.number]
        return default_version.choose(numbers, self.defaults.get(name)) if numbers else None

    def hides(self, key: VersionKey) -> bool:
        """Whether the scan could not see if this version exists."""
        return key in self.refused or VersionKey(key.name, "") in self.refused


def scan(models: Path, model: str | None = None) -> Scan:
    """Return every version folder ``name/version`` in ``models``, or only those of ``model``.

    Folders whose names begin with a dot are skipped: they are unfinished publications. An entry
    that cannot be read, such as ``lost+found`` on a file system of its own, hides no other. Raises
    OSError if ``models`` itself cannot be read.
    """
    found = Scan({}, {})
    with os.scandir(models):  # raises the error if it cannot be read
        names = _entries(models) if model is None else [model]
    for name in names:
        folder = models / name
        if _is_folder(folder, VersionKey(name, ""), found):
            try:
                versions = _entries(folder)
            except FileNotFoundError:  # it has been removed meanwhile
                continue
            except OSError as error:
                _refuse(found, VersionKey(name, ""), f"cannot be read: {error.strerror}")
                continue
            _read_default(folder, found)
            for version in versions:
                key = VersionKey(name, version)
                if _is_folder(folder / version, key, found):
                    found.fingerprints[key] = _fingerprint(folder / version)
    return found


def _entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _is_folder(path: Path, key: VersionKey, found: Scan) -> bool:
    """Whether ``path`` is a folder that may contain a version; if not, perhaps refuse it."""
    try:
        if not path.is_dir():
            return False
    except OSError as error:
        _refuse(found, key, f"cannot be read: {error.strerror}")
        return False
    if key.name.isprintable() and key.version.isprintable():
        return True
    _refuse(found, key, "its name has characters that are not printable")
    return False


def _refuse(found: Scan, key: VersionKey, reason: str) -> None:
    escaped = VersionKey(printable(key.name), printable(key.version))
    found.refused[escaped] = f"{escaped}: {reason}"


def _read_default(folder: Path, found: Scan) -> None:
    try:
        recorded = default_version.read(folder)
    except CardError as error:
        found.refused[VersionKey(folder.name, default_version.FILE)] = str(error)
        return
    if recorded is not None:
        found.defaults[folder.name] = recorded


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
