"""Labels of training images: the class of each image, or the attributes that it has."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

MAX_CLASSES = 256
"""Most classes of a data set: their numbers are bytes."""
MAX_NAME_LENGTH = 64
"""Longest name of a class, in characters."""

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class ImageLabels:
    """The labels of n images: one of k exclusive classes each, or any of k attributes."""

    names: tuple[str, ...]
    """Names of the classes, or of the attributes, in order: valid names for a model card."""
    exclusive: bool
    """True for classes, of which an image has one; False for attributes, which are independent."""
    values: NDArray[np.uint8]
    """Class numbers ``(n,)``, or 0 and 1 for each attribute ``(n, k)``."""

    def subset(self, names: Sequence[str]) -> tuple[Rows, "ImageLabels"]:
        """The images that remain if only ``names`` are wanted, and their labels, in that order.

        These are the images of the classes ``names``, in their present order; for attributes, all
        images. Raises DataError if a name is unknown or repeated, or if there are no names.
        """
        columns = self._columns(names)
        if not self.exclusive:
            rows = np.arange(len(self.values))
            return rows, ImageLabels(tuple(names), False, self.values[:, columns])
        numbers = np.full(len(self.names), len(columns), dtype=np.intp)
        numbers[columns] = np.arange(len(columns))
        renumbered = numbers[self.values]
        rows = np.flatnonzero(renumbered < len(columns))
        return rows, ImageLabels(tuple(names), True, renumbered[rows].astype(np.uint8))

    def _columns(self, names: Sequence[str]) -> list[int]:
        kind = "class" if self.exclusive else "attribute"
        unknown = [name for name in names if name not in self.names]
        if unknown or not names:
            found = f"{', '.join(unknown)}: no such {kind}" if unknown else f"no {kind} is named"
            raise DataError(f"{found}; there are {', '.join(self.names)}")
        if repeated := [name for name in names if list(names).count(name) > 1]:
            raise DataError(f"{repeated[0]}: {kind} named more than once")
        return [self.names.index(name) for name in names]


def class_names(folders: Sequence[str]) -> tuple[str, ...]:
    """The names of the classes whose images are in ``folders``: valid names for a model card.

    Lower-case letters without accents, digits, ``-`` and ``_``; every other run of characters
    becomes a hyphen. Raises DataError if two names become equal, if one has no letter or digit that
    could be kept, or if there are more than ``MAX_CLASSES``.
    """
    if len(folders) > MAX_CLASSES:
        raise DataError(f"has {len(folders)} subfolders, but at most {MAX_CLASSES} classes")
    found: dict[str, str] = {}
    for folder in folders:
        name = slug(folder)
        if not name:
            raise DataError(
                f"{folder!r}: the name of a class needs a letter from a to z or a digit; rename "
                "this subfolder"
            )
        if name in found:
            raise DataError(
                f"{found[name]!r} and {folder!r}: both would be the class {name}; rename one of "
                "these subfolders"
            )
        found[name] = folder
    return tuple(found)


def slug(text: str) -> str:
    """``text`` as the name of a class; empty if it has no letter from a to z and no digit."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    hyphenated = re.sub(r"[^a-z0-9_]+", "-", plain).lstrip("-_")
    return hyphenated[:MAX_NAME_LENGTH].rstrip("-_")
