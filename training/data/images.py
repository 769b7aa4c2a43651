"""What a data set is to the trainer: one array of images, and whose they are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ByteCount = Callable[[str, int, int], None]
"""Called while data come in: with what they are, the bytes so far and the bytes in all."""


@dataclass(frozen=True)
class ImageSet:
    """Every image of a data set, with its provenance."""

    name: str
    licence: str
    pixels: NDArray[np.uint8]
    """``(n, channels, height, width)``."""


def fitted(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle of ``image``, scaled to ``size`` (Lanczos) where it differs."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return square.resize((size, size), Image.Resampling.LANCZOS)


def scaled(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Grey or RGB images ``(n, c, height, width)`` as ``(n, c, size, size)``, each ``fitted``."""
    count, channels, height, width = pixels.shape
    if (height, width) == (size, size):
        return pixels
    # Pillow has a grey image without an axis for its channel.
    shape = (height, width) if channels == 1 else (height, width, channels)
    grown = np.empty((count, channels, size, size), dtype=np.uint8)
    for one, image in zip(grown, pixels.transpose(0, 2, 3, 1), strict=True):
        picture = fitted(Image.fromarray(image.reshape(shape)), size)
        one[:] = np.asarray(picture).reshape(size, size, channels).transpose(2, 0, 1)
    return grown
