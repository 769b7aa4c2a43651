"""The part of a folder of images that is held out: no generator is trained on it.

The images that are held out depend on their pixels and the share alone, so that runs with other
seeds, classes and options hold out the same ones. Equal images are on the same side, and a smaller
share holds out a part of a larger one.
"""

import hashlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.config import MAX_TEST_SHARE
from training.data.images import ImageSet

LEAST = 100
"""Fewest images that are a reference for measurements: more than the 64 features, whose covariance
is estimated, and enough that 1% is one image."""

LEAST_OF_FEATURES = 2 * LEAST
"""Fewest images of a folder for a feature network: half to train it, half to check it."""

_KEY = b"held out"

Mask = NDArray[np.bool_]


def test_images(pixels: NDArray[np.uint8], share: float) -> Mask:
    """Which of the images ``(n, c, h, w)`` are test images: bool ``(n,)``.

    They are ``share`` of all, rounded, and their duplicates.
    """
    return _first(pixels, round(share * len(pixels)))


def reference(pixels: NDArray[np.uint8]) -> Mask:
    """Which of the images ``(n, c, h, w)`` no feature network is trained on: bool ``(n,)``.

    They are a fifth of all, at least ``LEAST``, and their duplicates; all test images are among
    them.
    """
    return _first(pixels, max(round(MAX_TEST_SHARE * len(pixels)), LEAST))


def split(found: ImageSet, held_out: Mask) -> tuple[ImageSet, ImageSet]:
    """The images of ``found`` that are not held out, and those that are, with their labels."""
    kept, held = (_rows(found, rows) for rows in (~held_out, held_out))
    return replace(kept, held_out=len(held.pixels)), held


def _rows(found: ImageSet, rows: Mask) -> ImageSet:
    labels = found.labels
    chosen = replace(labels, values=labels.values[rows]) if labels else None
    return replace(found, pixels=found.pixels[rows], labels=chosen)


def _first(pixels: NDArray[np.uint8], count: int) -> Mask:
    """The ``count`` images whose hashes are the smallest, and all that are equal to one of them."""
    hashes = np.array([_hash(image) for image in pixels], dtype=np.uint64)
    if not count:
        return np.zeros(len(hashes), dtype=np.bool_)
    largest = np.sort(hashes)[min(count, len(hashes)) - 1]
    return np.asarray(hashes <= largest)


def _hash(image: NDArray[np.uint8]) -> int:
    content = np.ascontiguousarray(image).data
    return int.from_bytes(hashlib.blake2b(content, digest_size=8, key=_KEY).digest())
