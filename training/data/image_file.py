"""Reads an image file of any usual format, cropped and scaled to the size of a data set."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from training.data.images import fit_centre
from training.errors import DataError
from training.image_size import ImageSize

FORMATS = (
    "AVIF",
    "BMP",
    "DIB",
    "GIF",
    "ICO",
    "JPEG",
    "JPEG2000",
    "PCX",
    "PNG",
    "PPM",
    "QOI",
    "SGI",
    "TGA",
    "TIFF",
    "WEBP",
)
"""The formats that are read. Others are rare as photographs, or start programs: for EPS Pillow runs
Ghostscript, which executes the file."""

MAX_JPEG_PIXELS = 2**28
"""Largest JPEG, 268 megapixels: more than telephones take. They are decoded at a smaller size."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits per pixel of cameras and scanners, all of which are stored in files of 8 or 16 bits."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How images of each Exif orientation are turned upright."""

Fitted = NDArray[np.uint8] | NDArray[np.uint16]
"""An image of the wanted size: RGB uint8 ``(3, height, width)``, or grey uint16 ``(height,
width)``."""


def read(path: Path, size: ImageSize) -> Fitted:
    """The centre of the image in ``path``, turned upright, cropped and resized to ``size``.

    It is uint8 RGB, or uint16 if the file has 16 bits per pixel, whose range only the whole data
    set tells: ``eight_bits``. For an animation it is the first frame. Raises DataError with the
    reason if the file cannot be read as an image.
    """
    try:
        with warnings.catch_warnings():
            # Accept odd but readable files; refuse images that would exhaust the memory.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with _opened(path) as image:
                # A JPEG need not be decoded at its full size to be scaled down well. It may have to
                # be turned, so either side may become the width.
                image.draft(None, (2 * max(size), 2 * max(size)))
                return _fitted(_upright(image), size)
    except UnidentifiedImageError as error:
        raise DataError("not an image of a supported format") from error
    except Exception as error:  # Pillow's decoders raise any kind of error for damaged files
        raise DataError(f"cannot be read: {error or type(error).__name__}") from error


def eight_bits(values: NDArray[np.uint16], largest: int) -> NDArray[np.uint8]:
    """Grey uint16 images ``(..., height, width)`` as uint8, of which 255 is white.

    White is the highest number of the least of ``DEPTHS`` that holds ``largest``, the largest pixel
    of the data set: 4095 for 12 bits, as X-ray images have.
    """
    white = next(2**bits - 1 for bits in DEPTHS if largest < 2**bits)
    rounded: NDArray[np.int64] = (2 * 255 * values.astype(np.int64) + white) // (2 * white)
    return rounded.astype(np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        image: Image.Image = Image.open(path, formats=_formats())
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        image = _opened_large_jpeg(path)
    with image:
        yield image


def _opened_large_jpeg(path: Path) -> Image.Image:
    """The JPEG in ``path``, whose size is beyond Pillow's limit. Any other format is refused."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_JPEG_PIXELS
    try:
        return Image.open(path, formats=["JPEG"])
    except UnidentifiedImageError:
        Image.MAX_IMAGE_PIXELS = limit
        return Image.open(path, formats=_formats())  # raises the error with the size
    finally:
        Image.MAX_IMAGE_PIXELS = limit


@cache
def _formats() -> list[str]:
    """Those of ``FORMATS`` that this build of Pillow knows."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _upright(image: Image.Image) -> Image.Image:
    """``image``, turned as its Exif orientation says; as it is if that cannot be read."""
    image.load()  # which turns a TIFF
    orientation = None
    with suppress(Exception):  # Pillow raises any kind of error for malformed Exif data
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _fitted(image: Image.Image, size: ImageSize) -> Fitted:
    """The centre as ``read`` returns it: transparent pixels become white."""
    if image.mode == "F":
        raise DataError("floating-point pixels have no known range")
    if image.mode.startswith("I"):
        return _deep(np.asarray(image), size)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    colours: Fitted = np.asarray(fit_centre(image.convert("RGB"), size)).transpose(2, 0, 1)
    return colours


def _deep(values: NDArray[np.integer], size: ImageSize) -> NDArray[np.uint16]:
    if values.min() < 0 or values.max() > 0xFFFF:
        raise DataError("32-bit pixels have no known range")
    resized = np.asarray(fit_centre(Image.fromarray(values.astype(np.float32)), size))
    return resized.round().clip(0, 0xFFFF).astype(np.uint16)
