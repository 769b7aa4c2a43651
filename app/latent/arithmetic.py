"""Sums of mean latents, and the neighbourhood of a latent.

Radford et al. 2015 (arXiv 1511.06434), section 6.3.2 and figure 7: the latents of images that have
something in common are averaged, the means are added and subtracted, and the result is shown in the
middle of eight neighbours, which differ from it by uniform noise.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.latent import sampling
from app.latent.sampling import Float64Array, Latents


def sum_of_means(plus: Iterable[Latents], minus: Iterable[Latents]) -> Latents:
    """Return the means of the groups in ``plus`` minus the means of those in ``minus``.

    A group is an array of latents ``(n, width)``; ``plus`` holds at least one group. Returns
    float32 ``(width,)``. The mean of a single latent is that latent, bit for bit.
    """
    terms = [_mean(group) for group in plus] + [-_mean(group) for group in minus]
    summed: Latents = np.sum(terms, axis=0).astype(np.float32)
    return summed


def _mean(group: Latents) -> Float64Array:
    mean: Float64Array = group.mean(axis=0, dtype=np.float64)
    return mean


@dataclass(frozen=True)
class Neighbourhood:
    """A grid of ``rows`` × ``cols`` latents: one in the middle, surrounded by noisy copies.

    If a side is even, two places share its middle; the first of them is used.
    """

    seed: int
    """Seed of the noise. Neighbour k, in reading order, has the same noise in every grid, scaled by
    the radius."""
    radius: float
    """Largest difference of a neighbour in every dimension of the latent space."""
    rows: int
    cols: int

    @property
    def count(self) -> int:
        """Number of latents, including the middle one."""
        return self.rows * self.cols

    @property
    def middle(self) -> int:
        """Index of the latent without noise, counted from 0 in reading order."""
        return (self.rows - 1) // 2 * self.cols + (self.cols - 1) // 2

    def latents_around(self, centre: Latents) -> Latents:
        """Return the grid around ``centre`` ``(width,)``: float32 ``(count, width)``, row by row.

        The middle one is ``centre``, bit for bit.
        """
        noise = self.radius * sampling.noise(self.seed, self.count - 1, len(centre))
        with_middle = np.insert(noise, self.middle, 0, axis=0)
        return (centre + with_middle).astype(np.float32)
