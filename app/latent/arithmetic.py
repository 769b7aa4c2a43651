"""Sums of latents, and what lies around one.

Radford et al. 2015 (arXiv 1511.06434), section 6.3.2 and figure 7: the latents of images that have
something in common are averaged, the means added and subtracted, and the result is shown amid eight
neighbours, which differ from it by uniform noise.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from app.latent import sampling
from app.latent.sampling import Latents


def sum_of_means(plus: Iterable[Latents], minus: Iterable[Latents]) -> Latents:
    """The means of ``plus`` added up, less those of ``minus``.

    Each is a group of latents ``(n, width)``; the answer is float32 ``(width,)``. ``plus`` has at
    least one. The mean of a single latent is that latent, to the bit.
    """
    added = [_mean(group) for group in plus] + [-_mean(group) for group in minus]
    summed: Latents = np.sum(added, axis=0).astype(np.float32)
    return summed


def _mean(group: Latents) -> sampling.Float64Array:
    averaged: sampling.Float64Array = group.mean(axis=0, dtype=np.float64)
    return averaged


@dataclass(frozen=True)
class Neighbourhood:
    """A sheet of ``rows`` × ``cols`` latents: one in the middle, and noise around it.

    Where a side is even its middle lies between two places; the first of them is meant.
    """

    seed: int
    """Whose noise it is. Neighbour k, in reading order, has the same for every radius and sheet."""
    radius: float
    """How far the noise reaches in every direction of the latent space."""
    rows: int
    cols: int

    @property
    def count(self) -> int:
        """How many images that is, the middle included."""
        return self.rows * self.cols

    @property
    def middle(self) -> int:
        """The place of the latent without noise, from 0 on, row by row."""
        return (self.rows - 1) // 2 * self.cols + (self.cols - 1) // 2

    def latents_around(self, centre: Latents) -> Latents:
        """``centre`` ``(width,)``, exact, amid its neighbours: float32 ``(count, width)``."""
        noise = self.radius * sampling.noise(self.seed, self.count - 1, len(centre))
        with_middle = np.insert(noise, self.middle, 0, axis=0)
        return (centre + with_middle).astype(np.float32)
