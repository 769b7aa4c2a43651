"""Directions in latent space that are found without labels: pure functions.

They are numbered, because only their images show what they change.
"""

import numpy as np
from numpy.typing import NDArray

from app.latent.sampling import Latents
from training.evaluation.options import Method

PROTOCOLS: dict[Method, str] = {
    "sefa": "sefa: eigenvectors of the matrix of the first layer, closed form (Shen and Zhou 2021, "
    "arXiv 2007.06600)",
    "pca": "pca: principal components of the activations of the first layer, regressed to the "
    "latents (Härkönen et al. 2020, arXiv 2004.02546), of seeds 0 to {last}{condition}",
}
"""How directions are found. Published cards contain this text: do not change it."""
SCALE = "; strength 1 is one standard deviation of the latents"

Float64Array = NDArray[np.float64]
Found = tuple[Float64Array, Float64Array]
"""Directions of length 1 ``(count, width)``, those that change most first, and the share of the
variance of the first layer that each explains ``(count,)``."""


def sefa(matrix: NDArray[np.float32], count: int) -> Found:
    """The directions that change the outputs of the first layer most: closed-form factorisation.

    ``matrix`` ``(width, d)`` holds the layer's outputs for each number of a latent. They are the
    eigenvectors with the largest eigenvalues of its product with its transpose: Shen and Zhou 2021
    (arXiv 2007.06600).
    """
    wide = matrix.astype(np.float64)
    values, vectors = np.linalg.eigh(wide @ wide.T)  # in ascending order
    largest = slice(None, -count - 1, -1)
    return _with_signs(vectors.T[largest]), values[largest] / values.sum()


def pca(activations: NDArray[np.float32], latents: Latents, count: int) -> Found:
    """The directions along which the activations of the first layer vary most.

    ``activations`` ``(n, d)`` are those of ``latents`` ``(n, width)``. Härkönen et al. 2020 (arXiv
    2004.02546): the coordinates of the activations on their principal components are regressed to
    the latents. As the coordinates are uncorrelated, each is regressed by itself.
    """
    from sklearn.decomposition import PCA  # the import takes seconds

    components = PCA(count, svd_solver="randomized", random_state=0)
    coordinates = components.fit_transform(activations).astype(np.float64)
    found = coordinates.T @ latents / np.square(coordinates).sum(axis=0)[:, None]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return _with_signs(found), components.explained_variance_ratio_.astype(np.float64)


def _with_signs(directions: Float64Array) -> Float64Array:
    """``directions``, each of which may be reversed, with their largest component positive."""
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    found: Float64Array = directions * signs[:, None]
    return found
