"""A white canvas for image grids and captions."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.imaging import png, sheets
from app.imaging.sheets import Pixels
from training.image_size import ImageSize

FIGURES = Path("runs/figures")
"""Where the figures of published versions are drawn."""

LINE_WIDTH = 1
"""Width of the line between the images of a grid, in pixels of the images."""
CAPTION_HEIGHT = 20
"""Height of a line of text."""

_ORANGE = "#D55E00"


def grid(pixels: Pixels, columns: int, scale: int) -> Pixels:
    """Images ``(n, h, w, c)`` in rows, ``scale`` times as large: ``(height, width, c)``.

    Scaled by the nearest neighbour, so that the pixels stay visible. White lines separate the
    images; n must be a multiple of ``columns``.
    """
    lines = ((0, 0), (0, LINE_WIDTH), (0, LINE_WIDTH), (0, 0))
    sheet = sheets.sheet(np.pad(pixels, lines, constant_values=255), columns)
    return sheet[:-LINE_WIDTH, :-LINE_WIDTH].repeat(scale, axis=0).repeat(scale, axis=1)


class Canvas:
    """A white image to draw on. Positions are in pixels from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        """An empty canvas."""
        self._image = Image.new("RGB", (width, height), "white")
        self._draw = ImageDraw.Draw(self._image)

    def paste(self, pixels: Pixels, left: int, top: int) -> None:
        """Copy ``pixels`` ``(h, w, c)`` onto the canvas."""
        self._image.paste(
            Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), (left, top)
        )

    def write(self, text: str, x: int, y: int, size: int = 12) -> None:
        """Write ``text``, centred at (x, y)."""
        self._draw.text((x, y), text, "black", ImageFont.load_default(size), anchor="mm")

    def frame(self, left: int, top: int, size: ImageSize, width: int) -> None:
        """Draw a frame of ``width`` around an image of ``size``."""
        right, bottom = left + size.width + width - 1, top + size.height + width - 1
        self._draw.rectangle((left - width, top - width, right, bottom), None, _ORANGE, width)

    def png(self) -> bytes:
        """The canvas as a PNG."""
        return png.encode(np.asarray(self._image))
