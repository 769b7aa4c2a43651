import numpy as np
import pytest

from app.latent import sampling
from app.latent.arithmetic import Neighbourhood, sum_of_means


def test_the_mean_of_one_seed_is_its_latent_to_the_bit() -> None:
    (z,) = sampling.from_seeds([42], 100)
    np.testing.assert_array_equal(sum_of_means([z[None]], []), z)


def test_means_are_added_and_subtracted() -> None:
    groups = [sampling.from_seeds(range(3 * k, 3 * k + 3), 100) for k in range(4)]
    a, b, c, d = (group.astype(np.float64).mean(axis=0) for group in groups)
    result = sum_of_means(groups[:2], groups[2:])
    assert result.shape == (100,)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, a + b - c - d, atol=1e-6)


def test_every_group_has_the_same_weight_regardless_of_its_size() -> None:
    one, many = np.full((1, 4), 6, np.float32), np.arange(64, dtype=np.float32).reshape(16, 4)
    np.testing.assert_array_equal(sum_of_means([one], [many]), 6 - (np.arange(4) + 30))


def test_a_group_minus_itself_is_zero() -> None:
    group = sampling.from_seeds([1, 2, 3], 100)
    np.testing.assert_array_equal(sum_of_means([group], [group]), np.zeros(100))


@pytest.mark.parametrize(
    ("rows", "cols", "middle"),
    [(1, 1, 0), (3, 3, 4), (5, 5, 12), (3, 5, 7), (1, 2, 0), (2, 2, 0), (4, 4, 5), (2, 3, 1)],
)
@pytest.mark.parametrize("radius", [0, 0.25, 2])
def test_the_middle_is_exact_and_its_neighbours_lie_within_the_radius(
    rows: int, cols: int, middle: int, radius: float
) -> None:
    (centre,) = sampling.from_seeds([42], 100)
    grid = Neighbourhood(42, radius, rows, cols)
    around = grid.latents_around(centre)
    assert grid.middle == middle
    assert around.shape == (grid.count, 100) == (rows * cols, 100)
    assert around.dtype == np.float32
    np.testing.assert_array_equal(around[middle], centre)
    apart = np.abs(np.delete(around, middle, axis=0) - centre)
    assert (apart <= radius + 1e-6).all()
    if radius and len(apart):
        assert (apart.max(axis=1) > 0.8 * radius).all()
        assert len(np.unique(around, axis=0)) == len(around)


def test_a_neighbour_has_the_same_direction_for_every_radius_and_grid() -> None:
    (centre,) = sampling.from_seeds([42], 100)
    near, far = (Neighbourhood(42, radius, 3, 3).latents_around(centre) for radius in (0.5, 1))
    np.testing.assert_allclose(2 * (near - centre), far - centre, atol=1e-5)
    large = Neighbourhood(42, 1, 5, 5).latents_around(centre)
    np.testing.assert_array_equal(np.delete(large, 12, 0)[:8], np.delete(far, 4, 0))


def test_different_seeds_have_different_noise() -> None:
    centre = np.zeros(100, np.float32)
    one, other = (Neighbourhood(seed, 1, 3, 3).latents_around(centre) for seed in (42, 43))
    assert not (np.delete(one, 4, 0) == np.delete(other, 4, 0)).any()
