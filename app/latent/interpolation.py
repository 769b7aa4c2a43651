"""Paths through several latents, and the plane between four."""

from itertools import pairwise
from typing import Literal

import numpy as np

from app.latent.sampling import Float64Array, Latents, Method, Prior, interpolate

Easing = Literal["linear", "ease-in", "ease-out", "ease-in-out"]

METHOD_BY_PRIOR: dict[Prior, Method] = {"normal": "slerp", "uniform": "lerp"}
"""For each prior, the method whose paths stay where the generator has seen latents in training.

Normal latents lie near a sphere, and slerp follows a great circle of it; uniform latents fill a
cube, which a straight line never leaves.
"""


def fractions(steps: int, easing: Easing = "linear") -> Float64Array:
    """Return how far along a segment each of its ``steps`` frames lies: ``(steps,)``, 0 to 1.

    The easings are the sine ones (Penner, "Programming Macromedia Flash MX", 2002, chapter 7):
    ``ease-in`` starts slowly, ``ease-out`` ends slowly, ``ease-in-out`` does both.
    """
    t = np.linspace(0, 1, steps)
    match easing:
        case "linear":
            return t
        case "ease-in":
            return np.asarray(1 - np.sin(np.pi / 2 * (1 - t)))  # exact at both ends
        case "ease-out":
            return np.asarray(np.sin(np.pi / 2 * t))
        case "ease-in-out":
            return np.asarray((1 - np.cos(np.pi * t)) / 2)


def frame_count(stops: int, steps: int, *, loop: bool = False) -> int:
    """Return how many latents ``path`` returns for this number of stops."""
    return stops * (steps - 1) if loop else (stops - 1) * (steps - 1) + 1


def path(
    stops: Latents,
    steps: int,
    method: Method = "slerp",
    *,
    loop: bool = False,
    easing: Easing = "linear",
) -> Latents:
    """Return a path through ``stops`` ``(n, width)`` with ``steps`` latents per segment.

    Every stop is on the path, bit for bit, and occurs once: the end of a segment is the start of
    the next. Each segment is eased separately. With ``loop``, a last segment leads back to the
    first stop and ends one frame before it, so that the path repeats seamlessly. Returns float32
    ``(frame_count(n, steps, loop=loop), width)``. ``n`` and ``steps`` are at least 2.
    """
    closed = np.concatenate([stops, stops[:1]]) if loop else stops
    eased = fractions(steps, easing)[:-1]
    segments = [interpolate(start, end, eased, method) for start, end in pairwise(closed)]
    return np.concatenate(segments if loop else [*segments, stops[-1:]])


def positions(
    stops: int, steps: int, *, loop: bool = False, easing: Easing = "linear"
) -> list[float]:
    """Return how far along the whole path each latent of ``path`` lies, if all segments are equal.

    The positions run from 0 to 1; with ``loop``, 1 would be one frame after the last.
    """
    segments = stops if loop else stops - 1
    eased = fractions(steps, easing)[:-1]
    along = [*((np.arange(segments)[:, None] + eased) / segments).flat]
    return [float(position) for position in (along if loop else [*along, 1])]


def plane(corners: Latents, rows: int, cols: int, method: Method = "slerp") -> Latents:
    """Return the plane between four latents ``(4, width)``, row by row: ``(rows * cols, width)``.

    ``corners`` are the top left, top right, bottom left and bottom right latent; each is in the
    result, bit for bit. The left and the right edge are interpolated first, then every row from its
    left end to its right end; with ``lerp``, this is bilinear interpolation. ``rows`` and ``cols``
    are at least 2.
    """
    top_left, top_right, bottom_left, bottom_right = corners
    left = interpolate(top_left, bottom_left, fractions(rows), method)
    right = interpolate(top_right, bottom_right, fractions(rows), method)
    across = [interpolate(a, b, fractions(cols), method) for a, b in zip(left, right, strict=True)]
    return np.concatenate(across)
