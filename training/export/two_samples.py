"""A test of whether two sets of images come from the same generator.

It is the energy test for equal distributions (Székely and Rizzo 2004, InterStat 5), with random
permutations, on coarse colours and coarse detail: what two sets of samples of one generator share,
although no image is in both.
"""

import numpy as np
from numpy.typing import NDArray

from app.imaging.sheets import Pixels

_CELLS = 8
"""Rows and columns to which an image is averaged."""
_PERMUTATIONS = 300
_SMALLEST_SPREAD = 1.0
"""Standard deviation, in grey levels, of what hardly varies."""

Floats = NDArray[np.float32]


def compare(first: Pixels, second: Pixels) -> tuple[float, float]:
    """The energy distance of two sets of images ``(n, h, w, c)``, and its probability by chance.

    The probability is the share of random divisions of all images into two such sets that are as
    far apart.
    """
    features = np.vstack([_features(first), _features(second)])
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + _SMALLEST_SPREAD)
    squares = (features**2).sum(axis=1)
    apart = np.sqrt((squares[:, None] + squares - 2 * features @ features.T).clip(0))
    random = np.random.default_rng(0)
    in_first = np.arange(len(features)) < len(first)
    divisions = np.array([in_first, *(random.permutation(in_first) for _ in range(_PERMUTATIONS))])
    distances = _energy(apart, divisions.astype(np.float32), len(first), len(second))
    return float(distances[0]), float((distances >= distances[0]).mean())


def _energy(apart: Floats, divisions: Floats, first: int, second: int) -> Floats:
    """The energy distance of each row of ``divisions``, in which one marks the first set."""
    to_first = divisions @ apart
    within_first = (to_first * divisions).sum(axis=1)
    between = to_first.sum(axis=1) - within_first
    within_second = apart.sum() - within_first - 2 * between
    between = 2 * between / (first * second)
    energies: Floats = between - within_first / first**2 - within_second / second**2
    return energies


def _features(images: Pixels) -> Floats:
    """The mean of each cell's pixels, and of the differences of its neighbours: ``(n, f)``."""
    values = images.astype(np.float32)
    return np.hstack([_pooled(values), _pooled(np.abs(np.diff(values, axis=2)))])


def _pooled(values: Floats) -> Floats:
    """The means of cells of ``(n, h, w, c)``: ``(n, cells * cells * c)``."""
    n, height, width, _ = values.shape
    rows, columns = min(_CELLS, height), min(_CELLS, width)
    tall, wide = height // rows, width // columns
    cells = values[:, : rows * tall, : columns * wide].reshape(n, rows, tall, columns, wide, -1)
    means: Floats = cells.mean(axis=(2, 4)).reshape(n, -1)
    return means
