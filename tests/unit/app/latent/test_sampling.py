import math

import numpy as np
import pytest

from app.latent import sampling
from app.latent.sampling import SEEDS, Latents

WORD = 2**64 - 1


def splitmix64(position: int) -> int:
    """Word ``position`` of the sequence that starts at state 0, as in the paper."""
    z = position * 0x9E3779B97F4A7C15 & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def normal_pair(word: int) -> tuple[float, float]:
    u, v = ((half + 0.5) / 2**32 for half in divmod(word, 2**32))
    radius = math.sqrt(-2 * math.log(u))
    return radius * math.cos(2 * math.pi * v), radius * math.sin(2 * math.pi * v)


def test_the_first_word_is_the_published_one_of_splitmix64() -> None:
    assert int(sampling.random_words([0], 1)[0, 0]) == 0xE220A8397B1DCDAF


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, SEEDS - 1])
def test_words_are_splitmix64_from_the_seeds_own_position(seed: int) -> None:
    expected = [splitmix64(seed * 2**32 + k) for k in range(1, 6)]
    assert sampling.random_words([seed], 5)[0].tolist() == expected


GOLDEN = {
    0: [-0.49457878, 0.05956628, -0.8771413, -0.9547088],
    42: [-2.1830187, -2.781257, -1.4412833, 0.3257994],
    SEEDS - 1: [0.17457347, -0.20734988, -0.04064323, -0.48851514],
}


@pytest.mark.parametrize(("seed", "values"), GOLDEN.items())
def test_golden_latents(seed: int, values: list[float]) -> None:
    latents = sampling.from_seeds([seed], 4)
    np.testing.assert_array_equal(latents, np.array([values], dtype=np.float32))


def test_normal_latents_follow_box_and_muller() -> None:
    expected = [normal_pair(splitmix64(7 * 2**32 + k)) for k in range(1, 51)]
    latents = sampling.from_seeds([7], 100)[0]
    np.testing.assert_allclose(latents, np.ravel(expected), rtol=1e-6)


def test_uniform_latents_are_the_same_words_scaled() -> None:
    halves = [half for k in (1, 2) for half in divmod(splitmix64(7 * 2**32 + k), 2**32)]
    expected = [2 * (half + 0.5) / 2**32 - 1 for half in halves]
    np.testing.assert_allclose(sampling.from_seeds([7], 4, "uniform")[0], expected, rtol=1e-6)


@pytest.mark.parametrize("width", [1, 3, 100, 101])
def test_shape_and_type(width: int) -> None:
    latents = sampling.from_seeds([1, 2, 3], width)
    assert latents.shape == (3, width)
    assert latents.dtype == np.float32
    assert latents.flags.c_contiguous


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_a_latent_does_not_depend_on_its_batch(prior: sampling.Prior) -> None:
    together = sampling.from_seeds([5, 42, 9], 100, prior)
    np.testing.assert_array_equal(together[1:2], sampling.from_seeds([42], 100, prior))


def test_the_priors_moments() -> None:
    normal = sampling.from_seeds(range(4000), 100).astype(np.float64)
    uniform = sampling.from_seeds(range(4000), 100, "uniform").astype(np.float64)
    # Five standard errors of 400,000 numbers.
    assert abs(normal.mean()) < 0.008
    assert abs(normal.var() - 1) < 0.012
    assert abs((normal**4).mean() - 3) < 0.08
    assert abs(uniform.mean()) < 0.005
    assert abs(uniform.var() - 1 / 3) < 0.003
    neighbours = np.corrcoef(normal[:-1].ravel(), normal[1:].ravel())[0, 1]
    assert abs(neighbours) < 0.008


@pytest.mark.parametrize("seed", [-1, SEEDS])
def test_a_seed_outside_32_bits_is_rejected(seed: int) -> None:
    with pytest.raises(ValueError, match=str(seed)):
        sampling.from_seeds([0, seed], 4)


def test_consecutive_seeds_wrap_around() -> None:
    assert sampling.consecutive(SEEDS - 2, 4) == [SEEDS - 2, SEEDS - 1, 0, 1]


def test_noise_is_the_words_of_the_second_half_scaled() -> None:
    first = 7 * 2**32 + 2**31 + 3 * 2**11  # the first word of the fourth neighbour
    halves = [half for k in (1, 2) for half in divmod(splitmix64(first + k), 2**32)]
    expected = [2 * (half + 0.5) / 2**32 - 1 for half in halves]
    np.testing.assert_allclose(sampling.noise(7, 5, 4)[3], expected, rtol=1e-12)


def test_noise_is_uniform_and_bounded() -> None:
    noise = sampling.noise(42, 255, 4096)
    assert noise.shape == (255, 4096)
    assert np.abs(noise).max() < 1
    # Five standard errors of a million numbers.
    assert abs(noise.mean()) < 0.003
    assert abs(noise.var() - 1 / 3) < 0.002


def test_the_noise_of_a_neighbour_depends_only_on_the_seed_and_its_index() -> None:
    many = sampling.noise(42, 255, 4096)
    np.testing.assert_array_equal(sampling.noise(42, 3, 101), many[:3, :101])
    assert len(np.unique(many)) > 0.999 * many.size  # no neighbour shares words with another
    assert not np.isin(sampling.noise(43, 3, 100), many).any()


def test_noise_for_no_neighbours_is_empty() -> None:
    assert sampling.noise(42, 0, 100).shape == (0, 100)


@pytest.fixture
def ends() -> Latents:
    return sampling.from_seeds([3, 17], 100)


@pytest.mark.parametrize("method", ["slerp", "lerp"])
def test_a_path_has_its_ends_exactly(ends: Latents, method: sampling.Method) -> None:
    path = sampling.interpolate(*ends, np.linspace(0, 1, 8), method)
    assert path.shape == (8, 100)
    assert path.dtype == np.float32
    np.testing.assert_array_equal(path[[0, -1]], ends)


def test_slerp_rotates_by_equal_angles() -> None:
    start, end = np.array([2, 0], np.float32), np.array([0, 2], np.float32)
    angles = np.linspace(0, math.pi / 2, 7)
    expected = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(
        sampling.slerp(start, end, np.linspace(0, 1, 7)), expected, atol=1e-6
    )


def test_slerp_keeps_the_length_of_unit_vectors(ends: Latents) -> None:
    unit = ends / np.linalg.norm(ends, axis=1, keepdims=True)
    lengths = np.linalg.norm(sampling.slerp(*unit, np.linspace(0, 1, 9)), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-6)


def test_lerp_is_the_straight_line(ends: Latents) -> None:
    middle = sampling.lerp(*ends, np.array([0.5]))[0]
    np.testing.assert_allclose(middle, ends.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "end"),
    [([1, 2], [2, 4]), ([1, 2], [-1, -2]), ([0, 0], [1, 1]), ([0, 0], [0, 0])],
    ids=["parallel", "opposite", "from zero", "zero"],
)
def test_slerp_is_lerp_where_the_arc_is_undefined(start: list[float], end: list[float]) -> None:
    a, b = np.array(start, np.float32), np.array(end, np.float32)
    fractions = np.linspace(0, 1, 5)
    np.testing.assert_array_equal(sampling.slerp(a, b, fractions), sampling.lerp(a, b, fractions))


@pytest.mark.parametrize("truncation", [0.5, 1, 2])
def test_truncation_scales_the_latents_of_seeds(truncation: float) -> None:
    latents = sampling.from_seeds(range(500), 100)
    changed = sampling.truncate(latents, truncation)
    assert changed.dtype == np.float32
    np.testing.assert_array_equal(changed, truncation * latents.astype(np.float64))
    assert changed.std() == pytest.approx(truncation, abs=0.02)


def test_a_truncated_uniform_prior_is_uniform_within_the_truncation() -> None:
    """As it would be if numbers beyond the truncation were sampled again."""
    changed = sampling.truncate(sampling.from_seeds(range(500), 100, "uniform"), 0.3)
    shares, _ = np.histogram(changed, bins=10, range=(-0.3, 0.3))
    assert shares.sum() == changed.size
    np.testing.assert_allclose(shares / changed.size, 0.1, atol=0.005)
