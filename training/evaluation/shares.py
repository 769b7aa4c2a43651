"""What share of images is of each class, or has each attribute: pure functions, in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def of_classes(labels: NDArray[np.integer[Any]], classes: int) -> Array:
    """Share ``(classes,)`` of each class among integer labels ``(n,)``; their sum is 1.

    Raises ValueError for labels of another shape or type, none at all, or any outside
    0…classes - 1.
    """
    if labels.ndim != 1 or len(labels) == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}, not integers (n,)")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels {labels.min()}…{labels.max()} leave 0…{classes - 1}")
    return np.bincount(labels.astype(np.int64), minlength=classes) / len(labels)


def of_attributes(labels: NDArray[np.bool_]) -> Array:
    """Share ``(k,)`` of the images that have each attribute, by their labels ``(n, k)``.

    Raises ValueError for labels of another shape or type, or none at all.
    """
    if labels.ndim != 2 or labels.size == 0 or labels.dtype != bool:
        raise ValueError(f"labels are {labels.dtype} of shape {labels.shape}, not bool (n, k)")
    return np.asarray(labels.mean(axis=0), dtype=np.float64)


def kl_to_uniform(shares: Array) -> float:
    """KL(``shares`` ‖ equal shares) of classes, in nats: 0…log(classes).

    Cover and Thomas 2006, section 2.3, with its 0 log 0 = 0.
    """
    held = shares[shares > 0]
    return max(0.0, float(held @ np.log(len(shares) * held)))


def gap(shares: Array, others: Array) -> float:
    """Mean difference, without its sign, of the ``shares`` ``(k,)`` of attributes: 0…1."""
    return float(np.abs(shares - others).mean())
