"""Finds the files of an image folder: links are followed, and every folder is read once."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from training.config import FOLDER
from training.errors import DataError

OnSkip = Callable[[Path, str], None]
"""Called with the path of every file and folder that cannot be used, and the reason."""


def check_folder(option: str, folder: Path) -> None:
    """Raise DataError unless ``folder``, which ``option`` names, is a folder."""
    if not folder.is_dir():
        raise DataError(f"{option}: not a folder")


def ignore_skipped(_path: Path, _reason: str) -> None:
    """An ``OnSkip`` that reports nothing, for images that another reading has reported."""


Identity = tuple[int, int]
"""Device and number of a folder, which are the same for all links to it."""


@dataclass
class FolderReader:
    """Reads a folder and the folders below it, each of them once."""

    on_skip: OnSkip
    read_as: dict[Identity, Path] = field(default_factory=dict)
    """The folders that were read, and under which path."""

    def files(self, folder: Path) -> list[Path]:
        """The files below ``folder``, without hidden ones, sorted by their path.

        Links to folders are followed once all other folders are read: what is in the folder itself
        is not found elsewhere, and a link to a folder above it ends nowhere.
        """
        found, waiting, links = list[Path](), [folder], list[Path]()
        while waiting or links:
            place = waiting.pop() if waiting else links.pop(0)
            for entry in self._entries(place):
                path = Path(entry.path)
                try:
                    if entry.is_file():
                        found.append(path)
                    elif entry.is_dir():
                        (links if entry.is_symlink() else waiting).append(path)
                    else:
                        link = entry.is_symlink()
                        self.on_skip(path, "a link to nothing" if link else "not a regular file")
                except OSError as error:
                    self.on_skip(path, f"cannot be read: {error.strerror}")
        return sorted(found, key=lambda path: path.relative_to(folder).as_posix())

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        """What is in ``folder``, without hidden files, sorted; nothing if it was read before."""
        try:
            status = folder.stat()
            identity = status.st_dev, status.st_ino
            if identity in self.read_as:
                self.on_skip(folder, f"the same folder as {self.read_as[identity]}")
                return
            self.read_as[identity] = folder
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            self.on_skip(folder, f"cannot be read: {error.strerror}")
            return
        yield from sorted(visible, key=lambda entry: entry.name)


def files(folder: Path, on_skip: OnSkip) -> list[Path]:
    """Every file below ``folder`` that is not hidden, sorted by its path relative to it.

    What cannot be read is reported by ``on_skip``. Raises DataError if ``folder`` is not a folder.
    """
    check_folder(f"--dataset {FOLDER}{folder}", folder)
    return FolderReader(on_skip).files(folder)
