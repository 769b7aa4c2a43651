"""Distances between two sets of samples: pure functions on features, in float64 throughout.

Features are arrays ``(n, d)`` of any float type with one row per sample: activations of a network,
or pixels. Every function raises ValueError for invalid sets: not of this shape, of different
widths, or with values that are not finite. The order of the rows makes no difference.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating[Any]]
Float64Array = NDArray[np.float64]

BLOCK = 1024
"""Rows and columns of the largest block of an n × m matrix that is in memory at once."""

_ROUNDING = 1e-12
"""Bound on the rounding error of a squared distance, relative to the squared norms."""


class PrecisionRecall(NamedTuple):
    """Shares in 0…1."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density from 0, about 1 for real data, unbounded; coverage in 0…1."""

    density: float
    coverage: float


def frechet(real: Features, fake: Features) -> float:
    """Squared Fréchet distance between the Gaussians fitted to two sets ``(n, d)``, ``(m, d)``.

    In squared units of the features. Heusel et al. 2017 (arXiv 1706.08500), equation 6, with
    unbiased covariances. It decreases with the size of the sets: compare only values of equally
    large sets. Raises ValueError for invalid sets and for fewer than 2 samples.
    """
    x, y = _checked(2, real=real, fake=fake)
    cov1, cov2 = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (x, y))
    return frechet_gaussians(x.mean(axis=0), cov1, y.mean(axis=0), cov2)


def frechet_gaussians(mean1: Features, cov1: Features, mean2: Features, cov2: Features) -> float:
    """Squared Fréchet distance between Gaussians with means ``(d,)`` and covariances ``(d, d)``.

    Dowson and Landau 1982 (Journal of Multivariate Analysis 12). The eigenvalues of C1 C2 are
    those of the symmetric sqrt(C1) C2 sqrt(C1): real and never negative, for any ranks. Raises
    ValueError for shapes that do not fit, values that are not finite, and covariances that are not
    symmetric positive semi-definite.
    """
    m1, c1 = _checked_gaussian(mean1, cov1)
    m2, c2 = _checked_gaussian(mean2, cov2)
    if len(m1) != len(m2):
        raise ValueError(f"the means differ in width: shapes {m1.shape} and {m2.shape}")
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(_without_noise(values))) @ vectors.T
    product = _without_noise(np.linalg.eigvalsh(root @ c2 @ root))
    spread = np.trace(c1) + np.trace(c2) - 2 * np.sqrt(product).sum()
    return max(0.0, float(np.square(m1 - m2).sum() + spread))


def kid(real: Features, fake: Features) -> float:
    """Kernel inception distance between two sets ``(n, d)`` and ``(m, d)``.

    The squared MMD with the kernel (x·y / d + 1)³ of Bińkowski et al. 2018 (arXiv 1801.01401),
    section 4, in the unbiased estimate of Gretton et al. 2012 (JMLR 13), equation 3, over all
    pairs. It has no unit and is 0 in expectation for equal distributions, so it can be negative.
    Raises ValueError for invalid sets and for fewer than 2 samples.
    """
    x, y = _checked(2, real=real, fake=fake)
    n, m = len(x), len(y)
    within = _kernel_sum(x, x) / (n * (n - 1)) + _kernel_sum(y, y) / (m * (m - 1))
    return within - 2 * _kernel_sum(x, y) / (n * m)


def precision_recall(real: Features, fake: Features, k: int = 3) -> PrecisionRecall:
    """Precision and recall of a set ``(m, d)`` against a real one ``(n, d)``.

    Kynkäänniemi et al. 2019 (arXiv 1904.06991), section 2. A set's manifold is the union of
    closed balls around its samples; the radius of a ball is the distance to the ``k``-th nearest
    other sample. Precision is the share of fake samples on the real manifold, recall the share of
    real samples on the fake manifold. Raises ValueError for invalid sets, and unless
    1 ≤ ``k`` < n, m.
    """
    x, y = _centred(real=real, fake=fake)
    _, per_fake = _members(x, _radii("real", x, k), y)
    _, per_real = _members(y, _radii("fake", y, k), x)
    return PrecisionRecall(float(np.mean(per_fake > 0)), float(np.mean(per_real > 0)))


def density_coverage(real: Features, fake: Features, k: int = 5) -> DensityCoverage:
    """Density and coverage of a set ``(m, d)`` against a real one ``(n, d)``.

    Naeem et al. 2020 (arXiv 2002.09797), section 3, on the closed balls of ``precision_recall``
    around real samples. Density is the mean number of balls that contain a fake sample, divided
    by ``k``; coverage is the share of balls that contain one. Raises ValueError for invalid or
    empty sets, and unless 1 ≤ ``k`` < n.
    """
    x, y = _centred(real=real, fake=fake)
    per_ball, per_fake = _members(x, _radii("real", x, k), y)
    return DensityCoverage(float(per_fake.mean() / k), float(np.mean(per_ball > 0)))


def copies(train: Features, test: Features, fake: Features, quantile: float = 0.01) -> float:
    """Share of fakes ``(m, d)`` that lie nearer to a training sample than test samples usually do.

    These are no further from their nearest training sample ``(n, d)`` than the nearest ``quantile``
    of the test samples ``(t, d)`` from theirs. So the result is about ``quantile`` for a generator
    that is as original as real data, and 1 for one that only copies. 0.01 is rare among real
    images, yet 10,000 test samples still determine this threshold to about a tenth. Compares the
    distances of Meehan et al. 2020 (arXiv 2004.05675). A result above ``quantile`` is a reason to
    look at the images, not proof: in pixels, a pale or blurred image is near to many others.
    Raises ValueError for invalid or empty sets, and unless 1 / t ≤ ``quantile`` < 1.
    """
    x, held_out, y = _centred(train=train, test=test, fake=fake)
    if not 1 / len(held_out) <= quantile < 1:
        raise ValueError(f"quantile is {quantile}, not from 1 / {len(held_out)} test samples to 1")
    # Not interpolated, so that squared distances have the same quantile as distances.
    threshold = float(np.quantile(_nearest(held_out, x), quantile, method="inverted_cdf"))
    return float(np.mean(_nearest(y, x) <= threshold + _slack(y, threshold)))


def _checked(min_samples: int, **sets: Features) -> list[Float64Array]:
    """Float64 copies of the sets; checks that they are finite, of one width, and large enough."""
    for name, features in sets.items():
        if features.ndim != 2 or len(features) < min_samples or features.shape[1] == 0:
            raise ValueError(
                f"{name} has shape {features.shape}, not (n, d) with n ≥ {min_samples}"
            )
        if wrong := int((~np.isfinite(features)).sum()):
            raise ValueError(f"{name} has {wrong} values that are not finite")
    if len({features.shape[1] for features in sets.values()}) > 1:
        shapes = ", ".join(f"{name} {features.shape}" for name, features in sets.items())
        raise ValueError(f"the sets differ in width: {shapes}")
    return [features.astype(np.float64) for features in sets.values()]


def _centred(**sets: Features) -> list[Float64Array]:
    """Checked copies minus the first set's mean: large values would lose precision when squared."""
    checked = _checked(1, **sets)
    mean = checked[0].mean(axis=0)
    return [np.subtract(features, mean, out=features) for features in checked]


def _checked_gaussian(mean: Features, covariance: Features) -> tuple[Float64Array, Float64Array]:
    if mean.ndim != 1 or len(mean) == 0 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(f"mean {mean.shape}, covariance {covariance.shape}: not (d,) and (d, d)")
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("mean or covariance has values that are not finite")
    c = covariance.astype(np.float64)
    gap, lowest = np.abs(c - c.T).max(), np.linalg.eigvalsh(c)[0]
    if max(gap, -lowest) > 1e-5 * np.abs(c).max():  # far above the rounding errors of float32
        raise ValueError(f"not a covariance: asymmetry {gap:.3g}, lowest eigenvalue {lowest:.3g}")
    return mean.astype(np.float64), c


def _without_noise(eigenvalues: Float64Array) -> Float64Array:
    """``eigenvalues`` with rounding errors set to 0: their square roots would not be small."""
    noise = len(eigenvalues) * np.finfo(np.float64).eps * np.abs(eigenvalues).max()
    return np.where(eigenvalues > noise, eigenvalues, 0.0)


def _blocks(x: Float64Array, y: Float64Array) -> Iterator[tuple[slice, slice]]:
    for row in range(0, len(x), BLOCK):
        for column in range(0, len(y), BLOCK):
            yield slice(row, row + BLOCK), slice(column, column + BLOCK)


def _kernel_sum(x: Float64Array, y: Float64Array) -> float:
    """Sum of the kernel over all pairs; within one set, no sample is paired with itself."""
    total = 0.0
    for rows, columns in _blocks(x, y):
        base = x[rows] @ y[columns].T / x.shape[1] + 1
        if x is y and rows == columns:
            np.fill_diagonal(base, 0.0)
        total += float((base * base * base).sum())  # far faster than base**3
    return total


def _squared_distances(
    x: Float64Array, y: Float64Array
) -> Iterator[tuple[slice, slice, Float64Array]]:
    """Blocks of the matrix ``(n, m)``; within one set, its diagonal is infinite."""
    norms_x, norms_y = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    for rows, columns in _blocks(x, y):
        block = x[rows] @ (-2 * y[columns].T)
        block += norms_x[rows, None]
        block += norms_y[columns]
        np.maximum(block, 0.0, out=block)
        if x is y and rows == columns:
            np.fill_diagonal(block, np.inf)
        yield rows, columns, block


def _slack(centres: Float64Array, squared: Float64Array | float) -> Float64Array:
    """Bound on the rounding error of squared distances, so that rounding does not decide ties."""
    norms: Float64Array = np.square(centres).sum(axis=1)
    return _ROUNDING * (norms + squared)


def _nearest(x: Float64Array, y: Float64Array, k: int = 1) -> Float64Array:
    """Squared distance ``(n,)`` from each row of ``x`` to its ``k``-th nearest in ``y``."""
    nearest = np.full((len(x), k), np.inf)
    for rows, _, block in _squared_distances(x, y):
        joined = np.hstack([nearest[rows], block])
        nearest[rows] = np.partition(joined, k - 1, axis=1)[:, :k]
    return nearest[:, -1]


def _radii(name: str, x: Float64Array, k: int) -> Float64Array:
    if not 1 <= k < len(x):
        raise ValueError(f"k is {k}, not from 1 to below the {len(x)} samples of {name}")
    squared = _nearest(x, x, k)
    return squared + _slack(x, squared)


def _members(
    centres: Float64Array, radii: Float64Array, points: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The number of points in each ball, and the number of balls that contain each point."""
    per_ball, per_point = np.zeros(len(centres)), np.zeros(len(points))
    for rows, columns, block in _squared_distances(centres, points):
        inside = block <= radii[rows, None]
        per_ball[rows] += inside.sum(axis=1)
        per_point[columns] += inside.sum(axis=0)
    return per_ball, per_point
