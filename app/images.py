"""Pixels to sheets and PNG. Pixels are uint8 arrays, ``(n, height, width, channels)``."""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def sheet(pixels: Pixels, columns: int) -> Pixels:
    """Images ``(n, h, w, c)`` row by row on one sheet ``(rows * h, columns * w, c)``.

    The places after the last image stay black. ``columns = n`` makes a strip.
    """
    n, height, width, channels = pixels.shape
    rows = math.ceil(n / columns)
    places = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    places[:n] = pixels
    by_row = places.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return by_row.reshape(rows * height, columns * width, channels)


def square(count: int) -> int:
    """The columns of the squarest sheet of ``count`` images."""
    return math.ceil(math.sqrt(count))


def png(image: Pixels) -> bytes:
    """One image ``(h, w, 1)`` or ``(h, w, 3)`` as a grey or RGB PNG, the same bytes every time."""
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def pngs(pixels: Pixels) -> Sequence[bytes]:
    """Every image of ``pixels`` as a PNG of its own."""
    return [png(image) for image in pixels]
