"""A white canvas for grids of images, with words between them."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.imaging import png, sheets
from app.imaging.sheets import Pixels

LINE = 1
"""Width of the line between the images of a grid, in pixels of the images."""
WORDS = 20
"""Height of a line of words."""

_ORANGE = "#D55E00"


def grid(pixels: Pixels, columns: int, scale: int) -> Pixels:
    """Images ``(n, h, w, c)`` row by row, ``scale`` times as large: ``(height, width, c)``.

    Nothing is smoothed, so that every pixel is seen as it is. White lines divide the images; n is a
    multiple of ``columns``.
    """
    lines = ((0, 0), (0, LINE), (0, LINE), (0, 0))
    sheet = sheets.sheet(np.pad(pixels, lines, constant_values=255), columns)
    return sheet[:-LINE, :-LINE].repeat(scale, axis=0).repeat(scale, axis=1)


class Canvas:
    """What grids are pasted on. Places are in pixels, from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        """An empty one."""
        self._image = Image.new("RGB", (width, height), "white")
        self._pen = ImageDraw.Draw(self._image)

    def paste(self, pixels: Pixels, left: int, top: int) -> None:
        """Show ``pixels`` ``(h, w, c)``."""
        self._image.paste(
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), (left, top)
        )

    def write(self, words: str, x: int, y: int, size: int = 12) -> None:
        """Write ``words``, whose middle is at (x, y)."""
        self._pen.text((x, y), words, "black", ImageFont.load_default(size), anchor="mm")

    def frame(self, left: int, top: int, side: int, width: int) -> None:
        """Draw a line of ``width`` around a square."""
        right, bottom = left + side + width - 1, top + side + width - 1
        self._pen.rectangle((left - width, top - width, right, bottom), None, _ORANGE, width)

    def png(self) -> bytes:
        """The canvas as a PNG."""
        return png.encode(np.asarray(self._image))
