import numpy as np
import pytest
from numpy.typing import NDArray

from app.latent.sampling import from_seeds
from training.evaluation import unlabelled

WIDTH, OUTPUTS = 6, 40


@pytest.fixture(scope="module")
def axes() -> NDArray[np.float64]:
    """Orthogonal directions ``(WIDTH, WIDTH)``, whose largest components are positive."""
    found = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0].T
    largest = np.abs(found).argmax(axis=1)
    return found * np.sign(found[np.arange(WIDTH), largest])[:, None]


@pytest.fixture(scope="module")
def matrix(axes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Changes the outputs by 6 along the first of ``axes``, by 5 along the second, and so on."""
    outputs = np.linalg.qr(np.random.default_rng(1).normal(size=(OUTPUTS, WIDTH)))[0].T
    return (axes.T @ np.diag([6, 5, 4, 3, 2, 1]) @ outputs).astype(np.float32)


def test_sefa_finds_the_directions_that_change_the_layer_most(
    axes: NDArray[np.float64], matrix: NDArray[np.float32]
) -> None:
    found, shares = unlabelled.sefa(matrix, 4)
    np.testing.assert_allclose(found, axes[:4], atol=1e-5)
    np.testing.assert_allclose(shares, np.array([36, 25, 16, 9]) / 91, rtol=1e-5)


def test_pca_of_a_linear_layer_finds_the_same(
    axes: NDArray[np.float64], matrix: NDArray[np.float32]
) -> None:
    z = from_seeds(range(4000), WIDTH)
    found, shares = unlabelled.pca(z @ matrix + 7, z, 3)
    assert (np.sum(found * axes[:3], axis=1) > 0.99).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_allclose(shares, np.array([36, 25, 16]) / 91, atol=0.02)


def test_pca_follows_what_an_activation_lets_through() -> None:
    # The first number of a latent changes the layer most, but an activation cuts that off.
    z = from_seeds(range(4000), 2)
    layer = np.stack([9 * z[:, 0] - 40, z[:, 1]], axis=1)
    (found,), _ = unlabelled.pca(np.maximum(layer, 0), z, 1)
    assert found[1] > 0.99
    (largest,), _ = unlabelled.sefa(np.diag(np.float32([9, 1])), 1)
    np.testing.assert_allclose(largest, [1, 0])


def test_equal_arguments_give_equal_results(matrix: NDArray[np.float32]) -> None:
    z = from_seeds(range(500), WIDTH)
    for first, second in zip(*(unlabelled.pca(z @ matrix, z, 2) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(first, second)
