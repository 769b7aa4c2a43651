"""The animation of a run: its sample sheets, one frame for each epoch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from app.imaging.animation import encode_frames

MAX_FRAMES = 60
"""Of longer runs, as many epochs at equal distances are shown."""
MAX_SIDE = 384
"""Pixels. Larger grids are scaled down to keep the file small."""
CAPTION_HEIGHT = 16
"""Pixels of the strip below the images that names the epoch."""
FRAME_DURATION, LAST_FRAME_DURATION = 150, 3000
"""Milliseconds."""

_COLOURS = 64


def shown_frames(count: int) -> list[int]:
    """The indices of the shown frames: all ``count``, or ``MAX_FRAMES`` with both ends."""
    places = np.linspace(0, count - 1, min(count, MAX_FRAMES)).round()
    return [int(place) for place in places]


def gif(grids: Sequence[tuple[int, Path]]) -> bytes:
    """The sample sheets, one or more pairs ``(epoch, file)``, as a GIF that loops."""
    frames = [_frame(*grids[k]) for k in shown_frames(len(grids))]
    durations = [FRAME_DURATION] * (len(frames) - 1) + [LAST_FRAME_DURATION]
    return encode_frames(frames, "gif", durations, repeat=True)


def _frame(epoch: int, path: Path) -> Image.Image:
    with Image.open(path) as image:
        grid = image.convert(image.mode)  # a copy, which outlives the open file
    grid.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    frame = Image.new(grid.mode, (grid.width, grid.height + CAPTION_HEIGHT), "white")
    frame.paste(grid)
    place = (frame.width // 2, grid.height + CAPTION_HEIGHT // 2)
    font = ImageFont.load_default(11)
    ImageDraw.Draw(frame).text(place, f"epoch {epoch}", "black", font, anchor="mm")
    return frame.quantize(_COLOURS)
