"""The part of a folder of images that is held out: no generator is trained on it.

The images that are held out depend on their pixels and the share alone, so that runs with other
seeds, classes and options hold out the same ones. Equal images are on the same side, and so are
near-duplicates. A smaller share holds out a part of a larger one.
"""

import hashlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.config import MAX_TEST_SHARE
from training.data import near_duplicates
from training.data.images import ImageSet

LEAST = 100
"""Fewest images that are a reference for measurements: more than the 64 features, whose covariance
is estimated, and enough that 1% is one image."""

LEAST_OF_FEATURES = 2 * LEAST
"""Fewest images of a folder for a feature network: half to train it, half to check it."""

_KEY = b"held out"

Mask = NDArray[np.bool_]


class Order(NamedTuple):
    """The order in which images are held out."""

    places: NDArray[np.uint64]
    """A hash for each image ``(n,)``, the smallest first; near-duplicates have the same."""
    near_duplicates: int
    """Number of the images that are near-duplicates of another, but not equal to all of these."""

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> "Order":
        """The order of the images ``(n, c, h, w)``."""
        hashes = np.array([_hash(image.tobytes()) for image in pixels], dtype=np.uint64)
        different, firsts, numbers = np.unique(hashes, return_index=True, return_inverse=True)
        groups = near_duplicates.groups(pixels[firsts])
        several = np.bincount(groups) > 1
        places = np.full(len(several), np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(places, groups, different)
        # The least hash of several would be held out more often than that of one image.
        places[several] = [_hash(least.tobytes()) for least in places[several]]
        near = int(several[groups][numbers].sum())
        return cls(places[groups][numbers], near)


def test_images(order: Order, share: float) -> Mask:
    """Which images are test images: bool ``(n,)``.

    They are ``share`` of all, rounded, and their duplicates and near-duplicates.
    """
    return _first(order, round(share * len(order.places)))


def reference(order: Order) -> Mask:
    """Which images no feature network is trained on: bool ``(n,)``.

    They are a fifth of all, at least ``LEAST``, and their duplicates and near-duplicates; all test
    images are among them.
    """
    return _first(order, max(round(MAX_TEST_SHARE * len(order.places)), LEAST))


def split(found: ImageSet, held_out: Mask) -> tuple[ImageSet, ImageSet]:
    """The images of ``found`` that are not held out, and those that are, with their labels."""
    kept, held = (_rows(found, rows) for rows in (~held_out, held_out))
    return replace(kept, held_out=len(held.pixels)), held


def _rows(found: ImageSet, rows: Mask) -> ImageSet:
    labels = found.labels
    chosen = replace(labels, values=labels.values[rows]) if labels else None
    return replace(found, pixels=found.pixels[rows], labels=chosen)


def _first(order: Order, count: int) -> Mask:
    """The first ``count`` images, and all that have the place of the last of them."""
    places = order.places
    if not count:
        return np.zeros(len(places), dtype=np.bool_)
    largest = np.sort(places)[min(count, len(places)) - 1]
    return np.asarray(places <= largest)


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=_KEY).digest())
