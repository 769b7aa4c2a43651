"""Image folders: every file below a folder that Pillow can read is a training image.

If the folder has subfolders, and every image is in one of them, these are the images' classes.
"""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from training.config import FOLDER
from training.data.images import ByteCount, ImageSet, fit_square
from training.data.labels import ImageLabels, class_names
from training.errors import DataError

OnSkip = Callable[[Path, str], None]
"""Called with the path of every file that cannot be used, and the reason."""

LICENCE = "unknown, the user's own"
MIN_IMAGES = 16
"""Smallest number of usable images that is accepted as a data set."""


def load(
    folder: Path, size: int, batch_size: int, progress: ByteCount, on_skip: OnSkip
) -> ImageSet:
    """The images below ``folder``, in the order of ``files``: grey if all are grey, else RGB.

    They have the labels of ``classes_of``. Raises DataError if fewer than ``batch_size`` or fewer
    than ``MIN_IMAGES`` images are usable, or if subfolders have no valid names for classes.
    """
    name, paths = FOLDER + folder.resolve().name, files(folder)
    pixels = np.empty((len(paths), 3, size, size), dtype=np.uint8)
    total, so_far, used = sum(path.stat().st_size for path in paths), 0, list[Path]()
    for path in paths:
        try:
            pixels[len(used)] = read(path, size)
            used.append(path)
        except DataError as error:
            on_skip(path, str(error))
        so_far += path.stat().st_size
        progress(name, so_far, total)
    if (count := len(used)) < max(batch_size, MIN_IMAGES):
        raise DataError(
            f"{folder}: found {count} images and skipped {len(paths) - count} files; a data set "
            f"needs at least {MIN_IMAGES} images and one whole batch (--batch-size {batch_size})"
        )
    labels = classes_of(folder, used)
    return ImageSet(name, LICENCE, _grey_if_possible(pixels[:count]), labels)


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
        raise DataError(f"{folder}: {error}") from error
    numbers = {subfolder: number for number, subfolder in enumerate(subfolders)}
    values = np.array([numbers[parts[0]] for parts in places], dtype=np.uint8)
    return ImageLabels(names, exclusive=True, values=values)


def files(folder: Path) -> list[Path]:
    """Every file below ``folder`` that is not hidden, sorted by its path relative to it.

    Raises DataError if ``folder`` is not a folder.
    """
    if not folder.is_dir():
        raise DataError(f"--dataset folder:{folder}: not a folder")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return [
        path
        for name, path in sorted(found.items())
        if path.is_file() and not any(part.startswith(".") for part in name.split("/"))
    ]


def read(path: Path, size: int) -> NDArray[np.uint8]:
    """The central square of the image in ``path``, turned upright: RGB ``(3, size, size)``.

    For an animation it is the first frame. Raises DataError with the reason if the file cannot be
    read as an image.
    """
    try:
        with warnings.catch_warnings():
            # Accept odd but readable files; refuse images that would exhaust the memory.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                # A JPEG need not be decoded at its full size to be scaled down well.
                image.draft(None, (2 * size, 2 * size))
                square = fit_square(_rgb(ImageOps.exif_transpose(image)), size)
    except UnidentifiedImageError as error:
        raise DataError("not an image that Pillow can read") from error
    except Exception as error:  # Pillow's decoders raise any kind of error for damaged files
        raise DataError(f"cannot be read: {error or type(error).__name__}") from error
    return np.asarray(square).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    """``image`` as RGB: transparent pixels become white, 16 bits per pixel are reduced to 8."""
    if image.mode == "F":
        raise DataError("floating-point pixels have no known range")
    if image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _eight_bits(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    if values.min() < 0 or values.max() > 0xFFFF:
        raise DataError("32-bit pixels have no known range")
    return ((values.astype(np.int32) + 128) // 257).astype(np.uint8)


def _grey_if_possible(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first channel only, if the three channels of every pixel are equal."""
    red, green, blue = pixels[:, 0], pixels[:, 1], pixels[:, 2]
    grey = np.array_equal(red, green) and np.array_equal(green, blue)
    return pixels[:, :1] if grey else pixels
