"""Shares of classes and attributes among images: pure functions, in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]


def class_shares(labels: NDArray[np.integer[Any]], classes: int) -> Float64Array:
    """Share ``(classes,)`` of each class among integer labels ``(n,)``. The shares sum to 1.

    Raises ValueError for labels of another shape or type, for no labels, and for labels outside
    0…classes - 1.
    """
    if labels.ndim != 1 or len(labels) == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}, not integers (n,)")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels range from {labels.min()} to {labels.max()}, not within 0…{classes - 1}"
        )
    return np.bincount(labels.astype(np.int64), minlength=classes) / len(labels)


def attribute_shares(labels: NDArray[np.bool_]) -> Float64Array:
    """Share ``(k,)`` of the images that have each attribute, from bool labels ``(n, k)``.

    Raises ValueError for labels of another shape or type, and for no labels.
    """
    if labels.ndim != 2 or labels.size == 0 or labels.dtype != bool:
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}, not bool (n, k)")
    return np.asarray(labels.mean(axis=0), dtype=np.float64)


def kl_to_uniform(shares: Float64Array) -> float:
    """KL(``shares`` ‖ equal shares) of classes, in nats: 0…log(classes).

    Cover and Thomas 2006, section 2.3, with 0 log 0 = 0.
    """
    positive = shares[shares > 0]
    return max(0.0, float(positive @ np.log(len(shares) * positive)))


def attribute_gap(shares: Float64Array, others: Float64Array) -> float:
    """Mean absolute difference of two sets of attribute shares ``(k,)``: 0…1."""
    return float(np.abs(shares - others).mean())
