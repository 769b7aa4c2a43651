"""Contact sheets and upscaling. Pixels are uint8 arrays ``(n, height, width, channels)``."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MAX_SCALE, MAX_PADDING = 8, 64
"""The largest upscaling factor, and the most pixels between two images of a sheet."""

MAX_PIXELS = 2**24
"""The most pixels of a sheet, 4096 × 4096: 50 MB in colour before it is encoded."""


def upscale(pixels: Pixels, scale: int) -> Pixels:
    """Return ``(…, h, w, c)`` enlarged by nearest neighbour: ``(…, h * scale, w * scale, c)``."""
    if scale == 1:
        return pixels
    larger: Pixels = pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)
    return larger


@dataclass(slots=True)
class Sheet:
    """The layout of several images on one sheet, row by row."""

    columns: int
    padding: int = 0
    """Black pixels between two images."""

    def size(self, count: int, height: int, width: int) -> tuple[int, int]:
        """Return the height and width of a sheet with ``count`` images ``(height, width)``."""
        rows = -(-count // self.columns)  # rounded up
        return (
            rows * (height + self.padding) - self.padding,
            self.columns * (width + self.padding) - self.padding,
        )

    def arrange(self, pixels: Pixels) -> Pixels:
        """Return images ``(n, h, w, c)`` on a sheet ``(height, width, c)``; see ``size``."""
        return sheet(pixels, self.columns, self.padding)


def sheet(pixels: Pixels, columns: int, padding: int = 0) -> Pixels:
    """Return images ``(n, h, w, c)`` on one sheet, row by row, ``padding`` black pixels apart.

    Places after the last image stay black. ``columns = n`` makes a strip.
    """
    n, height, width, channels = pixels.shape
    if n == columns == 1:
        only: Pixels = pixels[0]
        return only
    rows = math.ceil(n / columns)
    tall, wide = height + padding, width + padding
    places = np.zeros((rows * columns, tall, wide, channels), dtype=np.uint8)
    places[:n, :height, :width] = pixels
    by_row = places.reshape(rows, columns, tall, wide, channels).swapaxes(1, 2)
    whole = by_row.reshape(rows * tall, columns * wide, channels)
    return whole[: rows * tall - padding, : columns * wide - padding]


@cache
def square_columns(count: int) -> int:
    """Return the number of columns of the squarest sheet of ``count`` images."""
    return math.ceil(math.sqrt(count))
