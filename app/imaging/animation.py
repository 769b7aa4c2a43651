"""Images to an animation: GIF, WebP or APNG, by Pillow. A frame like the one before lengthens it.

GIF has 256 colours a frame and counts hundredths of a second, the others have all colours and count
thousandths.
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
"""What each counts time in, in milliseconds."""

# The greatest effort saves a third of the bytes in ten times the time; all of it is lossless.
_OPTIONS: dict[AnimationFormat, dict[str, Any]] = {
    "gif": {"optimize": False},
    "webp": {"lossless": True, "method": 0},
    "apng": {"compress_level": 1},
}
_NAMES: dict[AnimationFormat, str] = {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}


def durations(count: int, fps: float, unit: int) -> list[int]:
    """The milliseconds of ``count`` frames at ``fps`` a second, each a multiple of ``unit``.

    Every frame begins at the unit nearest to its time, so that what is rounded does not add up.
    """
    units = Fraction(1000) / Fraction(fps) / unit
    begins = [round(k * units) for k in range(count + 1)]
    return [int(unit * length) for length in np.diff(begins)]


def encode(pixels: Pixels, form: AnimationFormat, fps: float, *, repeat: bool) -> bytes:
    """Images ``(n, h, w, 1)`` or ``(n, h, w, 3)`` as one file that shows ``fps`` of them a second.

    With ``repeat`` it plays for ever, else once. Grey images are exact, colours too but for GIF,
    where each image has the 256 that fit it best. ``fps`` is from 1 to 50.
    """
    frames = [_frame(image, form) for image in pixels]
    return encode_frames(frames, form, durations(len(pixels), fps, _UNITS[form]), repeat=repeat)


def encode_frames(
    frames: Sequence[Image.Image],
    form: AnimationFormat,
    milliseconds: Sequence[int],
    *,
    repeat: bool,
) -> bytes:
    """Frames of one size, one or more, each shown for so many ``milliseconds``, as one file."""
    first, *rest = frames
    options = dict(_OPTIONS[form])
    if repeat:
        options["loop"] = 0
    elif form != "gif":  # a GIF that says nothing of it plays once
        options["loop"] = 1
    buffer = io.BytesIO()
    first.save(
        buffer,
        _NAMES[form],
        save_all=True,
        append_images=rest,
        duration=[*milliseconds],
        **options,
    )
    return buffer.getvalue()


def _frame(image: Pixels, form: AnimationFormat) -> Image.Image:
    """One image ``(h, w, channels)`` as Pillow has it."""
    if image.shape[-1] == 1:
        return Image.fromarray(image[..., 0])
    frame = Image.fromarray(image)
    if form != "gif":
        return frame
    # Fast, and as good as one palette for all; a pattern of dots would swarm from frame to frame.
    return frame.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
