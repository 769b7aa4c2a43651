"""Groups of images that are nearly equal: re-encoded, resized, a little brighter or darker.

As in 80 Million Tiny Images (Torralba, Fergus and Freeman 2008, IEEE TPAMI 30(11), section 3), the
distance is the sum of squared differences of thumbnails of mean 0 and norm 1, and principal
components find the candidates. A projection shortens every distance, so that a pair is missed only
where more candidates than ``_NEIGHBOURS`` seem nearer.
Difference hashes of 64 bits are no alternative: 8% of the images of Fashion-MNIST have the same
hash as another.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

SIDE: Final = 16
"""Width and height of a thumbnail."""
MOST_DISTANCE: Final = 0.006
"""Largest squared distance of near-duplicates, whose thumbnails then correlate by 0.997. So near
another one are 0.08% of 10,000 images of Fashion-MNIST; see RESULTS.md."""
_COMPONENTS: Final = 16
_NEIGHBOURS: Final = 8
"""Candidates of each image: a group of more images is connected through several of them."""
_CHUNK: Final = 1024
"""Images, or pairs of them, that are processed at once."""

Floats = NDArray[np.float32]


def groups(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The number of the group of each of the different images ``(n, c, h, w)``: ``(n,)``.

    Most images are alone in theirs. Images of one colour are near-duplicates of no other image.
    """
    from scipy.sparse import coo_matrix  # SciPy takes a while to import
    from scipy.sparse.csgraph import connected_components

    count, vectors = len(pixels), _vectors(pixels)
    first, second = _candidates(vectors)
    near = [
        np.square(vectors[a] - vectors[b]).sum(1) <= MOST_DISTANCE
        for a, b in zip(_chunks(first), _chunks(second), strict=True)
    ]
    chosen = np.concatenate([np.zeros(0, dtype=np.bool_), *near])
    edges = (np.ones(int(chosen.sum()), dtype=np.bool_), (first[chosen], second[chosen]))
    _, numbers = connected_components(coo_matrix(edges, shape=(count, count)), directed=False)
    return np.asarray(numbers, dtype=np.intp)


def _chunks(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _candidates(vectors: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of pairs of vectors whose leading principal components are near each other."""
    from scipy.spatial import KDTree

    rows = np.flatnonzero(vectors.any(1))
    if len(rows) < 2:
        return rows[:0], rows[:0]
    # Sums over the channels of blocks of 2×2, divided by the root of the number of summands, are an
    # orthogonal projection, whose components are found much faster.
    blocks = vectors[rows].reshape(len(rows), -1, SIDE // 2, 2, SIDE // 2, 2)
    grey = blocks.sum((1, 3, 5)).reshape(len(rows), -1) / np.sqrt(np.float32(4 * blocks.shape[1]))
    grey -= grey.mean(0)
    _, axes = np.linalg.eigh(grey.T @ grey)
    projected = grey @ axes[:, -_COMPONENTS:]
    radius = 1.01 * np.sqrt(MOST_DISTANCE)
    _, found = KDTree(projected).query(projected, 1 + _NEIGHBOURS, distance_upper_bound=radius)
    first = np.repeat(np.arange(len(rows)), 1 + _NEIGHBOURS)
    second = found.ravel()
    valid = (second < len(rows)) & (second != first)  # a missing neighbour has the number n
    return rows[first[valid]], rows[second[valid]]


def _vectors(pixels: NDArray[np.uint8]) -> Floats:
    """The thumbnails ``(n, c · SIDE²)`` of mean 0 and norm 1; of images of one colour, zeros."""
    count, channels, height, width = pixels.shape
    down, across = _area_means(height), _area_means(width).T
    vectors = np.empty((count, channels * SIDE * SIDE), dtype=np.float32)
    for start in range(0, count, _CHUNK):
        chunk = pixels[start : start + _CHUNK].astype(np.float32)
        vectors[start : start + _CHUNK] = (down @ chunk @ across).reshape(len(chunk), -1)
    vectors -= vectors.mean(1, keepdims=True)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = norms < np.sqrt(vectors.shape[1])  # a standard deviation below one grey level
    return np.where(flat, 0, vectors / np.where(flat, 1, norms)).astype(np.float32, copy=False)


def _area_means(length: int) -> Floats:
    """The matrix ``(SIDE, length)`` that takes the means of ``SIDE`` equal parts of a line."""
    edges = np.linspace(0, length, SIDE + 1)
    covered = np.minimum(edges[1:, None], np.arange(1, length + 1)) - np.maximum(
        edges[:-1, None], np.arange(length)
    )
    return np.asarray(np.clip(covered, 0, None) * SIDE / length, dtype=np.float32)
