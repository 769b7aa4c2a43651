import numpy as np
import pytest

from app.latent.sampling import from_seeds
from training.evaluation import directions
from training.evaluation.directions import BISECTIONS, Float64Array

WIDTH = 6


def cosine(one: Float64Array, other: Float64Array) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_the_direction_of_a_single_attribute_is_the_difference_of_the_means() -> None:
    z = from_seeds(range(500), WIDTH)
    has = z @ np.arange(WIDTH) > 3
    (way,) = directions.find_directions(z, has[:, None])
    assert cosine(way, z[has].mean(axis=0) - z[~has].mean(axis=0)) == pytest.approx(1)


def test_a_direction_is_parallel_to_the_hyperplanes_of_the_other_attributes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directions, "RIDGE", 0)
    # The normals of three hyperplanes. The directions that cross only one of them are the rows of
    # the pseudo-inverse; this is exact in the limit of large samples.
    normals = np.array([[1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [0, 1, 2, 0, 0, 0]])
    z = from_seeds(range(100_000), WIDTH)
    ways = directions.find_directions(z, z @ normals.T > 0.5)
    for way, expected in zip(ways, np.linalg.pinv(normals).T, strict=True):
        assert cosine(way, expected) > 0.999


def test_two_names_of_one_attribute_have_the_same_direction() -> None:
    z = from_seeds(range(500), WIDTH)
    has = z[:, 0] > 0.5
    alone = directions.find_directions(z, has[:, None])[0]
    for way in directions.find_directions(z, np.stack([has, has], axis=1)):
        assert cosine(way, alone) == pytest.approx(1)


def test_the_scale_of_the_latents_makes_no_difference() -> None:
    z = from_seeds(range(500), WIDTH)
    table = np.stack([z[:, 0] > 0.5, z[:, 0] + z[:, 1] > 0], axis=1)
    small = directions.find_directions(z / 8, table)
    np.testing.assert_allclose(small, directions.find_directions(z, table), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("all_have_it", [False, True])
def test_an_attribute_that_never_differs_has_no_direction(all_have_it: bool) -> None:
    z = np.random.default_rng(2).normal(size=(50, WIDTH)).astype(np.float32)
    table = np.stack([z[:, 0] > 0, np.full(50, all_have_it)], axis=1)
    found = directions.find_directions(z, table)
    np.testing.assert_array_equal(found[1], 0)
    assert np.abs(found[0]).max() > 0.5


@pytest.mark.parametrize("half", [0.3, 5.0, 9.9])
def test_the_length_is_where_half_of_the_images_gain_the_attribute(half: float) -> None:
    found = directions.length_for_half(lambda way: min(1.0, way / half / 2), 10.0)
    assert found is not None
    assert half <= found <= half + 10.0 / 2**BISECTIONS


def test_a_direction_without_effect_has_no_length() -> None:
    assert directions.length_for_half(lambda _: 0.49, 10.0) is None


def test_an_effect_has_the_gained_and_the_kept_shares() -> None:
    before = np.array([[0, 0, 1], [0, 1, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    after = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=bool)
    gained, kept = directions.edit_effect(before, after, 0)
    assert gained == 0.75
    np.testing.assert_array_equal(kept, [0.75, 0.5])
