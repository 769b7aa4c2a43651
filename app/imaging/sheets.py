"""Pixels to sheets. Pixels are uint8 arrays, ``(n, height, width, channels)``."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MAX_SCALE, MAX_PADDING = 8, 64
"""How often a pixel may be repeated in both directions; how many may lie between two images."""

MAX_PIXELS = 2**24
"""How large a picture may be, 4096 × 4096: 50 MB in colour before it is encoded."""


def upscale(pixels: Pixels, scale: int) -> Pixels:
    """Every pixel of ``(…, h, w, c)`` as a square of ``scale`` × ``scale``: nearest neighbour."""
    if scale == 1:
        return pixels
    larger: Pixels = pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)
    return larger


@dataclass(frozen=True)
class Sheet:
    """How images are laid out on one picture, row by row."""

    columns: int
    padding: int = 0
    """Black pixels between two images."""

    def size(self, count: int, height: int, width: int) -> tuple[int, int]:
        """Height and width of the picture of ``count`` images ``(height, width)``."""
        rows = math.ceil(count / self.columns)
        return (
            rows * (height + self.padding) - self.padding,
            self.columns * (width + self.padding) - self.padding,
        )

    def arrange(self, pixels: Pixels) -> Pixels:
        """Images ``(n, h, w, c)`` on a picture of that size, ``(height, width, c)``."""
        return sheet(pixels, self.columns, self.padding)


def sheet(pixels: Pixels, columns: int, padding: int = 0) -> Pixels:
    """Images ``(n, h, w, c)`` row by row on one picture, ``padding`` black pixels between them.

    The places after the last image stay black. ``columns = n`` makes a strip.
    """
    n, height, width, channels = pixels.shape
    rows = math.ceil(n / columns)
    tall, wide = height + padding, width + padding
    places = np.zeros((rows * columns, tall, wide, channels), dtype=np.uint8)
    places[:n, :height, :width] = pixels
    by_row = places.reshape(rows, columns, tall, wide, channels).swapaxes(1, 2)
    whole = by_row.reshape(rows * tall, columns * wide, channels)
    return whole[: rows * tall - padding, : columns * wide - padding]


def square_columns(count: int) -> int:
    """The columns of the squarest sheet of ``count`` images."""
    return math.ceil(math.sqrt(count))
