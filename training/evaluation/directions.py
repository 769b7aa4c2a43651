"""Directions among latents along which one attribute of the images changes: pure functions.

Latents are ``(n, width)``, attributes bool ``(n, k)``: which of the images drawn from them has
which.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.latent.sampling import Latents

Table = NDArray[np.bool_]
Array = NDArray[np.float64]

RIDGE = 0.1
"""Chosen on checkpoints of the run of ``models/faces/1``: ``RESULTS.md`` has what others gave."""

HALVINGS = 8
"""Steps of the search for a length, which ends within 1/256 of the longest."""


class Effect(NamedTuple):
    """What an edit did to images that had not its attribute. Shares in 0…1."""

    gained: float
    """Of the images, those that have it now."""
    kept: Array
    """Of the images, those that each other attribute is as before in: ``(k - 1,)``."""


def directions(latents: Latents, attributes: Table) -> Array:
    """For each attribute a way that leads to it past the others: ``(k, width)``.

    Radford et al. 2015 (arXiv 1511.06434), section 6.3.2, subtract the mean latent of images
    without an attribute from that of images with it: along a row of C, the correlations of the
    attributes with the numbers of a normal latent. It is the normal of the hyperplane that divides
    them best, but leads across those of the other attributes, too. Shen et al. 2020 (arXiv
    1907.10786) project on what is parallel to the others (conditional manipulation): the rows of
    (C Cᵀ)⁻¹ C are so to all of them. With RIDGE, attributes that all but coincide do not call for
    endless ways. One that every image has, or none, has a way of zeros. The length of a way means
    nothing.
    """
    z = latents - latents.mean(axis=0, dtype=np.float64)
    present = attributes - attributes.mean(axis=0)
    spread = present.std(axis=0)
    correlations = (present / np.where(spread > 0, spread, 1)).T @ (z / z.std()) / len(z)
    among = correlations @ correlations.T
    ways: Array = np.linalg.solve(among + RIDGE * np.eye(len(among)), correlations)
    return ways


def length(gained: Callable[[float], float], longest: float) -> float | None:
    """How far along a direction half of the images gain its attribute, ``longest`` at most.

    ``gained`` tells their share for a way and is taken to grow with it. None where ``longest`` is
    not enough.
    """
    if gained(longest) < 0.5:
        return None
    near, far = 0.0, longest
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        near, far = (near, middle) if gained(middle) >= 0.5 else (middle, far)
    return far


def effect(before: Table, after: Table, attribute: int) -> Effect:
    """What an edit of ``attribute`` did to images that were without it: theirs are the rows."""
    same = np.delete(before == after, attribute, axis=1)
    return Effect(float(after[:, attribute].mean()), same.mean(axis=0))
