"""Paths through several latents, and the plane between four."""

from itertools import pairwise
from typing import Literal

import numpy as np

from app.latent.sampling import Float64Array, Latents, Method, Prior, interpolate

Easing = Literal["linear", "ease-in", "ease-out", "ease-in-out"]

METHOD_BY_PRIOR: dict[Prior, Method] = {"normal": "slerp", "uniform": "lerp"}
"""How to stay among the latents that a generator has learned from, by their prior.

Normal latents lie near a sphere and the great arc stays on it; uniform ones fill a cube, which a
straight line never leaves.
"""


def fractions(steps: int, easing: Easing = "linear") -> Float64Array:
    """Which share of a leg lies behind each of its ``steps`` frames: ``(steps,)``, from 0 to 1.

    The easings are the sine ones (Penner, "Programming Macromedia Flash MX", 2002, chapter 7):
    ``ease-in`` sets out at rest, ``ease-out`` arrives at rest, ``ease-in-out`` does both.
    """
    t = np.linspace(0, 1, steps)
    match easing:
        case "linear":
            return t
        case "ease-in":
            return np.asarray(1 - np.sin(np.pi / 2 * (1 - t)))  # whose ends are exact
        case "ease-out":
            return np.asarray(np.sin(np.pi / 2 * t))
        case "ease-in-out":
            return np.asarray((1 - np.cos(np.pi * t)) / 2)


def frame_count(stops: int, steps: int, *, loop: bool = False) -> int:
    """How many latents ``path`` gives for so many stops, of ``steps`` a leg."""
    return stops * (steps - 1) if loop else (stops - 1) * (steps - 1) + 1


def path(
    stops: Latents,
    steps: int,
    method: Method = "slerp",
    *,
    loop: bool = False,
    easing: Easing = "linear",
) -> Latents:
    """A path through ``stops`` ``(n, width)``, each exact, of ``steps`` latents a leg.

    The end of a leg is the beginning of the next and counts once; every leg is eased by itself.
    With ``loop`` a last leg leads back to the first stop and ends one step before it, so that the
    path repeats without a hitch. The answer is float32 ``(frames(n, steps), width)``. ``n`` and
    ``steps`` are at least 2.
    """
    around = np.concatenate([stops, stops[:1]]) if loop else stops
    eased = fractions(steps, easing)[:-1]
    legs = [interpolate(start, end, eased, method) for start, end in pairwise(around)]
    return np.concatenate(legs if loop else [*legs, stops[-1:]])


def positions(
    stops: int, steps: int, *, loop: bool = False, easing: Easing = "linear"
) -> list[float]:
    """Which share of the whole path lies behind each latent of ``path``, every leg as long.

    They begin at 0 and end at 1; with ``loop`` the end is one frame after the last.
    """
    legs = stops if loop else stops - 1
    eased = fractions(steps, easing)[:-1]
    walked = [*((np.arange(legs)[:, None] + eased) / legs).flat]
    return [float(share) for share in (walked if loop else [*walked, 1])]


def plane(corners: Latents, rows: int, cols: int, method: Method = "slerp") -> Latents:
    """The plane between four latents ``(4, width)``, row by row: ``(rows * cols, width)``.

    ``corners`` are the top left, top right, bottom left and bottom right one; all are exact. The
    paths lead down the left and the right edge, and in every row from the one to the other: with
    ``lerp`` that is bilinear. ``rows`` and ``cols`` are at least 2.
    """
    top_left, top_right, bottom_left, bottom_right = corners
    left = interpolate(top_left, bottom_left, fractions(rows), method)
    right = interpolate(top_right, bottom_right, fractions(rows), method)
    across = [interpolate(a, b, fractions(cols), method) for a, b in zip(left, right, strict=True)]
    return np.concatenate(across)
