"""Directions in latent space along which one attribute of the images changes: pure functions.

Latents are ``(n, width)``; attributes are bool ``(n, k)``: which of the images generated from them
has which attribute.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.latent.sampling import Latents

Attributes = NDArray[np.bool_]
Float64Array = NDArray[np.float64]

RIDGE = 0.1
"""Chosen on checkpoints of the run of ``models/faces/1``: ``RESULTS.md`` has other values."""

BISECTIONS = 8
"""Steps of the search for a length, which is exact to 1/256 of the largest length."""


class Effect(NamedTuple):
    """The effect of an edit on images without its attribute. Shares in 0…1."""

    gained: float
    """Share of the images that have the attribute after the edit."""
    kept: Float64Array
    """For each other attribute, the share of images in which it is unchanged: ``(k - 1,)``."""


def find_directions(latents: Latents, attributes: Attributes) -> Float64Array:
    """For each attribute, a direction that changes it but not the others: ``(k, width)``.

    Radford et al. 2015 (arXiv 1511.06434), section 6.3.2, subtract the mean latent of images
    without an attribute from that of images with it: this is along a row of C, the correlations of
    the attributes with the components of a normal latent. It is the normal of the hyperplane that
    separates the images best, but it also crosses the hyperplanes of other attributes. Shen et al.
    2020 (arXiv 1907.10786) project it onto the directions parallel to the others (conditional
    manipulation): the rows of (C Cᵀ)⁻¹ C are parallel to all of them. RIDGE keeps the result finite
    for attributes that almost coincide. An attribute that all images or no images have gets a
    direction of zeros. The length of a direction has no meaning.
    """
    z = latents - latents.mean(axis=0, dtype=np.float64)
    present = attributes - attributes.mean(axis=0)
    spread = present.std(axis=0)
    correlations = (present / np.where(spread > 0, spread, 1)).T @ (z / z.std()) / len(z)
    gram = correlations @ correlations.T
    found: Float64Array = np.linalg.solve(gram + RIDGE * np.eye(len(gram)), correlations)
    return found


def length_for_half(gained: Callable[[float], float], longest: float) -> float | None:
    """The length along a direction at which half of the images gain its attribute.

    ``gained`` returns their share for a length and is assumed to grow with it. None if half is not
    reached at ``longest``.
    """
    if gained(longest) < 0.5:
        return None
    low, high = 0.0, longest
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if gained(middle) >= 0.5 else (middle, high)
    return high


def edit_effect(before: Attributes, after: Attributes, attribute: int) -> Effect:
    """The effect of an edit of ``attribute`` on images that did not have it: one image per row."""
    unchanged = np.delete(before == after, attribute, axis=1)
    return Effect(float(after[:, attribute].mean()), unchanged.mean(axis=0))
