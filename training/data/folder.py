"""Image folders: every file below a folder that is an image is a training image.

If the folder has subfolders, and every image is in one of them, these are the images' classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.artifact.version_key import printable
from training.config import FOLDER
from training.data import image_file
from training.data.folder_files import OnSkip, files
from training.data.images import ByteCount, ImageSet
from training.data.labels import ImageLabels, class_names
from training.errors import DataError
from training.image_size import ImageSize

LICENCE = "unknown, the user's own"
MIN_IMAGES = 16
"""Smallest number of usable images that is accepted as a data set."""


class FolderOptions(NamedTuple):
    """What is wanted of an image folder."""

    size: ImageSize
    """The size to which its images are cropped and scaled."""
    batch_size: int
    """Smallest number of images, if it is more than ``MIN_IMAGES``."""
    labelled: bool = True
    """Whether its subfolders are the classes of the images."""


def load(folder: Path, options: FolderOptions, progress: ByteCount, on_skip: OnSkip) -> ImageSet:
    """The images below ``folder``, in the order of ``files``: grey if all are grey, else RGB.

    If wanted, they have the labels of ``classes_of``. Raises DataError if too few images are
    usable, or if subfolders have no valid names for classes.
    """
    size, batch_size, labelled = options
    name, paths = FOLDER + printable(folder.resolve().name), files(folder, on_skip)
    pixels = np.empty((len(paths), 3, size.height, size.width), dtype=np.uint8)
    deep: dict[int, NDArray[np.uint16]] = {}
    sizes = [_length(path) for path in paths]
    used, so_far = list[Path](), 0
    for path, length in zip(paths, sizes, strict=True):
        try:
            image = image_file.read(path, size)
            if image.dtype == np.uint16:
                deep[len(used)] = image.astype(np.uint16, copy=False)
            else:
                pixels[len(used)] = image
            used.append(path)
        except DataError as error:
            on_skip(path, str(error))
        so_far += length
        progress(name, so_far, sum(sizes))
    if (count := len(used)) < max(batch_size, MIN_IMAGES):
        raise DataError(
            f"{folder}: found {count} images and skipped {len(paths) - count} files; a data set "
            f"needs at least {MIN_IMAGES} images and one whole batch (--batch-size {batch_size})"
        )
    _add_deep(pixels, deep)
    labels = classes_of(folder, used) if labelled else None
    return ImageSet(name, LICENCE, _grey_if_possible(pixels[:count]), labels)


def _length(path: Path) -> int:
    """The bytes in ``path``; 0 if it was removed since it was found, for which it is skipped."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def classes_of(folder: Path, images: Sequence[Path]) -> ImageLabels | None:
    """The classes of ``images``: the first-level subfolders of ``folder`` that they are in.

    None if an image is in no subfolder, or if all are in the same one. Raises DataError if the
    subfolders have no valid names for classes.
    """
    places = [path.relative_to(folder).parts for path in images]
    subfolders = sorted({parts[0] for parts in places})
    if len(subfolders) < 2 or any(len(parts) == 1 for parts in places):
        return None
    try:
        names = class_names(subfolders)
    except DataError as error:
        raise DataError(f"{folder}: {error}, or ignore them: --conditional none") from error
    numbers = {subfolder: number for number, subfolder in enumerate(subfolders)}
    values = np.array([numbers[parts[0]] for parts in places], dtype=np.uint8)
    return ImageLabels(names, exclusive=True, values=values)


def _add_deep(pixels: NDArray[np.uint8], deep: dict[int, NDArray[np.uint16]]) -> None:
    """Write the images of 16 bits ``deep`` into their places in ``pixels`` ``(n, 3, h, w)``."""
    largest = max((int(image.max()) for image in deep.values()), default=0)
    for place, image in deep.items():
        pixels[place] = image_file.eight_bits(image, largest)


def _grey_if_possible(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first channel only, if the three channels of every pixel are equal."""
    red, green, blue = pixels[:, 0], pixels[:, 1], pixels[:, 2]
    grey = np.array_equal(red, green) and np.array_equal(green, blue)
    return pixels[:, :1] if grey else pixels
