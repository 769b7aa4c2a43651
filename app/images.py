"""Pixels to sheets. Pixels are uint8 arrays, ``(n, height, width, channels)``."""

import math

import numpy as np
from numpy.typing import NDArray

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
