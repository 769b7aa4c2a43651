"""The animation of a run: its sample grids, one after another."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.imaging.animation import encode_frames

MOST_FRAMES = 60
"""More are thinned out evenly."""
LARGEST_SIDE = 384
"""Larger grids are scaled down, so that the file stays one to send."""
CAPTION = 16
"""Height of the strip below the images, which tells the epoch."""
FRAME, LAST_FRAME = 150, 3000
"""Milliseconds."""

_COLOURS = 64


def chosen(count: int) -> list[int]:
    """Which of ``count`` frames are shown: all, or ``MOST_FRAMES`` evenly, with both ends."""
    places = np.linspace(0, count - 1, min(count, MOST_FRAMES)).round()
    return [int(place) for place in places]


def gif(grids: Sequence[tuple[int, Path]]) -> bytes:
    """The sample grids of ``(epoch, file)``, one or more, as a GIF that repeats for ever."""
    frames = [_frame(*grids[k]) for k in chosen(len(grids))]
    durations = [FRAME] * (len(frames) - 1) + [LAST_FRAME]
    return encode_frames(frames, "gif", durations, repeat=True)


def _frame(epoch: int, path: Path) -> Image.Image:
    with Image.open(path) as image:
        grid = image.convert(image.mode)  # a copy, whose file is closed
    grid.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    frame = Image.new(grid.mode, (grid.width, grid.height + CAPTION), "white")
    frame.paste(grid)
    place = (frame.width // 2, grid.height + CAPTION // 2)
    font = ImageFont.load_default(11)
    ImageDraw.Draw(frame).text(place, f"epoch {epoch}", "black", font, anchor="mm")
    return frame.quantize(_COLOURS)
