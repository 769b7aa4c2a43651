"""A person's own labels: a CSV file with one image a line, and the attributes that it has.

    anna.jpg,glasses,smile
    holidays/bert.jpg,glasses
    carla.png

An image without names has none of the attributes. Images that the file does not name are not used.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NUMBERED = re.compile(r"(sefa|pca)_[0-9]+")


@dataclass(frozen=True)
class LabelFile:
    """The content of such a file."""

    path: Path
    images: tuple[str, ...]
    """File names, or the indices of images."""
    lines: tuple[int, ...]
    """The line of each image."""
    names: tuple[str, ...]
    """The attributes, in the order in which they first occur."""
    has: NDArray[np.bool_]
    """Which image has which attribute: ``(n, k)``."""

    def error(self, image: int, problem: str) -> DataError:
        """The error that names the line of the image with this number, and ``problem``."""
        return _error(self.path, self.lines[image], problem)


def read(path: Path) -> LabelFile:
    """The labels in ``path``. Raises DataError, which names the line and what is allowed."""
    found: dict[str, tuple[int, list[str]]] = {}
    for line, (image, *names) in _rows(path):
        if image in found:
            raise _error(path, line, f"{image} is on line {found[image][0]} already")
        for name in names:
            if problem := _problem(name, names):
                raise _error(path, line, problem)
        found[image] = line, names
    known = list(dict.fromkeys(name for _, names in found.values() for name in names))
    if not known:
        raise DataError(f"{path}: has no image with an attribute; a line is IMAGE,NAME,NAME…")
    has = np.array([[name in names for name in known] for _, names in found.values()])
    lines = tuple(line for line, _ in found.values())
    return LabelFile(path, tuple(found), lines, tuple(known), has)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty: their numbers and their cells, of which the last have text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            for row in rows:
                image, *names = (cell.strip() for cell in row or [""])
                kept = [name for name in names if name]
                if kept and not image:
                    raise _error(path, rows.line_num, "begins without an image")
                if image:
                    yield rows.line_num, [image, *kept]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is no CSV file in UTF-8: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _problem(name: str, names: list[str]) -> str:
    """What is wrong with ``name`` among the ``names`` of one image; empty if nothing is."""
    if not _NAME.fullmatch(name):
        return (
            f"{name!r} is no name of an attribute, which begins with a letter from a to z, goes on "
            "with such letters, digits and _, and has at most 32 characters"
        )
    if _NUMBERED.fullmatch(name):
        return f"{name} is a name of directions without labels; choose another one"
    return f"{name} is named twice" if names.count(name) > 1 else ""


def _error(path: Path, line: int, problem: str) -> DataError:
    return DataError(f"{path}, line {line}: {problem}")
