"""Paths through several latents, and the plane between four."""

from itertools import pairwise

import numpy as np

from app.latents import Latents, Method, Prior, interpolate

METHODS: dict[Prior, Method] = {"normal": "slerp", "uniform": "lerp"}
"""How to stay among the latents that a generator has learned from, by their prior.

Normal latents lie near a sphere and the great arc stays on it; uniform ones fill a cube, which a
straight line never leaves.
"""


def frames(stops: int, steps: int, *, loop: bool = False) -> int:
    """How many latents ``through`` gives for so many stops, of ``steps`` a leg."""
    return stops * (steps - 1) if loop else (stops - 1) * (steps - 1) + 1


def through(stops: Latents, steps: int, method: Method = "slerp", *, loop: bool = False) -> Latents:
    """A path through ``stops`` ``(n, width)``, each exact, of ``steps`` latents a leg.

    The end of a leg is the beginning of the next and counts once. With ``loop`` a last leg leads
    back to the first stop and ends one step before it, so that the path repeats without a hitch.
    The answer is float32 ``(frames(n, steps), width)``. ``n`` and ``steps`` are at least 2.
    """
    around = np.concatenate([stops, stops[:1]]) if loop else stops
    legs = [interpolate(start, end, steps, method)[:-1] for start, end in pairwise(around)]
    return np.concatenate(legs if loop else [*legs, stops[-1:]])


def plane(corners: Latents, rows: int, cols: int, method: Method = "slerp") -> Latents:
    """The plane between four latents ``(4, width)``, row by row: ``(rows * cols, width)``.

    ``corners`` are the top left, top right, bottom left and bottom right one; all are exact. The
    paths lead down the left and the right edge, and in every row from the one to the other: with
    ``lerp`` that is bilinear. ``rows`` and ``cols`` are at least 2.
    """
    top_left, top_right, bottom_left, bottom_right = corners
    left = interpolate(top_left, bottom_left, rows, method)
    right = interpolate(top_right, bottom_right, rows, method)
    across = [interpolate(a, b, cols, method) for a, b in zip(left, right, strict=True)]
    return np.concatenate(across)
