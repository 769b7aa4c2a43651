"""A person's own images: every file below a folder that Pillow can read."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from training.config import FOLDER
from training.data.images import ByteCount, ImageSet, fitted
from training.errors import DataError

Skipped = Callable[[Path, str], None]
"""Called with every file that cannot be used, and why."""

LICENCE = "unknown, the user's own"
FEWEST = 16
"""Fewer images than these are no data set."""


def load(
    folder: Path, size: int, batch_size: int, progress: ByteCount, skipped: Skipped
) -> ImageSet:
    """The images below ``folder``, in the order of ``files``: RGB, or grey if they all are.

    Raises DataError where those that can be used are fewer than ``batch_size`` or ``FEWEST``.
    """
    name, paths = FOLDER + folder.resolve().name, files(folder)
    pixels = np.empty((len(paths), 3, size, size), dtype=np.uint8)
    total, so_far, count = sum(path.stat().st_size for path in paths), 0, 0
    for path in paths:
        try:
            pixels[count] = read(path, size)
            count += 1
        except DataError as error:
            skipped(path, str(error))
        so_far += path.stat().st_size
        progress(name, so_far, total)
    if count < max(batch_size, FEWEST):
        raise DataError(
            f"{folder}: {count} images were found and {len(paths) - count} files skipped; a data "
            f"set takes {FEWEST} images, and a whole batch (--batch-size {batch_size})"
        )
    return ImageSet(name, LICENCE, _grey(pixels[:count]))


def files(folder: Path) -> list[Path]:
    """Every file below ``folder`` that is not hidden, in the order of their paths' characters."""
    if not folder.is_dir():
        raise DataError(f"--dataset folder:{folder}: is no folder")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return [
        path
        for name, path in sorted(found.items())
        if path.is_file() and not any(part.startswith(".") for part in name.split("/"))
    ]


def read(path: Path, size: int) -> NDArray[np.uint8]:
    """The image in ``path``, upright, its middle square: RGB ``(3, size, size)``.

    Of an animation it is the first frame. Raises DataError that says why there is none.
    """
    try:
        with warnings.catch_warnings():
            # What is odd but readable is read; what would fill the memory is not.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                # A JPEG need not be decoded at its full size to be scaled down well.
                image.draft(None, (2 * size, 2 * size))
                picture = fitted(_rgb(ImageOps.exif_transpose(image)), size)
    except UnidentifiedImageError as error:
        raise DataError("is no image that Pillow can read") from error
    except Exception as error:  # a damaged file may raise anything in Pillow's decoders
        raise DataError(f"cannot be read: {error or type(error).__name__}") from error
    return np.asarray(picture).transpose(2, 0, 1)


def _rgb(image: Image.Image) -> Image.Image:
    """``image`` as RGB: transparent parts become white, 16 bits a pixel 8."""
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


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first channel alone where every pixel has three equal ones."""
    red, green, blue = pixels[:, 0], pixels[:, 1], pixels[:, 2]
    alike = np.array_equal(red, green) and np.array_equal(green, blue)
    return pixels[:, :1] if alike else pixels
