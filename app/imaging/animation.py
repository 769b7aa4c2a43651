"""Animations in GIF, WebP or APNG format, by Pillow.

A GIF has 256 colours per frame and counts time in hundredths of a second; the other formats have
all colours and count in thousandths. A frame that equals the previous one is not stored; the
previous one is shown longer instead.
"""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from PIL import Image

from app.imaging.sheets import Pixels

AnimationFormat = Literal["gif", "webp", "apng"]

_UNITS: dict[AnimationFormat, int] = {"gif": 10, "webp": 1, "apng": 1}
"""The unit of time of each format, in milliseconds."""

# Low effort: the highest saves a third of the bytes but takes ten times as long.
_OPTIONS: dict[AnimationFormat, dict[str, Any]] = {
    "gif": {"optimize": False},
    "webp": {"lossless": True, "method": 0},
    "apng": {"compress_level": 1},
}
_NAMES: dict[AnimationFormat, str] = {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}
"""The formats as Pillow calls them."""


def durations(count: int, fps: float, unit: int) -> list[int]:
    """Return the durations of ``count`` frames in milliseconds, each a multiple of ``unit``.

    Every frame starts at the multiple nearest to its exact time, so that rounding errors do not
    accumulate.
    """
    units = Fraction(1000) / Fraction(fps) / unit
    starts = [round(k * units) for k in range(count + 1)]
    return [int(unit * length) for length in np.diff(starts)]


def encode(pixels: Pixels, file_format: AnimationFormat, fps: float, *, repeat: bool) -> bytes:
    """Return images ``(n, h, w, 1)`` or ``(n, h, w, 3)`` as an animation, ``fps`` of them a second.

    With ``repeat`` it plays in an endless loop, otherwise once. Pixels are exact, except for colour
    images in GIF, where each image gets the 256 colours that fit it best. ``fps`` is from 1 to 50.
    """
    frames = [_frame(image, file_format) for image in pixels]
    milliseconds = durations(len(pixels), fps, _UNITS[file_format])
    return encode_frames(frames, file_format, milliseconds, repeat=repeat)


def encode_frames(
    frames: Sequence[Image.Image],
    file_format: AnimationFormat,
    milliseconds: Sequence[int],
    *,
    repeat: bool,
) -> bytes:
    """Return one or more frames of the same size as an animation; see ``encode``.

    ``milliseconds`` holds the duration of each frame.
    """
    first, *rest = frames
    options = dict(_OPTIONS[file_format])
    if repeat:
        options["loop"] = 0
    elif file_format != "gif":  # a GIF without this option plays once
        options["loop"] = 1
    buffer = io.BytesIO()
    first.save(
        buffer,
        _NAMES[file_format],
        save_all=True,
        append_images=rest,
        duration=[*milliseconds],
        **options,
    )
    return buffer.getvalue()


def _frame(image: Pixels, file_format: AnimationFormat) -> Image.Image:
    """Return one image ``(h, w, channels)`` for Pillow; colours in GIF get a palette per frame."""
    if image.shape[-1] == 1:
        return Image.fromarray(image[..., 0])
    frame = Image.fromarray(image)
    if file_format != "gif":
        return frame
    # FASTOCTREE is fast, and as good as one palette for all frames. Dithering would flicker: its
    # pattern of dots changes from frame to frame.
    return frame.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
