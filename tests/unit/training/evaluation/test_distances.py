import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluation import distances
from training.evaluation.distances import (
    copies,
    density_coverage,
    frechet,
    frechet_gaussians,
    kid,
    precision_recall,
)

Array = NDArray[np.float64]
Metric = Callable[..., object]

SIZES = [1, 2, 7, 10, 1024]  # of blocks: some divide the 30 and 20 rows below, some do not


def normal(seed: int, n: int, d: int) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d))


def lattice(seed: int, n: int, d: int = 2) -> Array:
    """Whole numbers from a small range: duplicates, and ties in most distances."""
    return np.random.default_rng(seed).integers(0, 6, size=(n, d)).astype(np.float64)


def whitened(seed: int, n: int, d: int) -> Array:
    """A set whose mean is exactly 0 and whose unbiased covariance is exactly the identity."""
    sample = normal(seed, n, d)
    sample -= sample.mean(axis=0)
    factor = np.linalg.cholesky(sample.T @ sample / (n - 1))
    return np.linalg.solve(factor, sample.T).T


def rotation(seed: int, d: int) -> Array:
    return np.linalg.qr(normal(seed, d, d)).Q


# Fréchet distance


def test_frechet_of_sets_with_known_moments() -> None:
    real, fake = whitened(1, 40, 5), whitened(2, 60, 5)
    shift = np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    expected = shift @ shift + 5 * (1 - 2.5) ** 2
    assert frechet(real, shift + 2.5 * fake) == pytest.approx(expected, rel=1e-10)


def test_frechet_takes_the_unbiased_covariance() -> None:
    # Means 1 and 2; variances 2 and 8, which would be 1 and 4 without the correction.
    real, fake = np.array([[0.0], [2.0]]), np.array([[0.0], [4.0]])
    assert frechet(real, fake) == pytest.approx(1 + (math.sqrt(8) - math.sqrt(2)) ** 2)


def test_frechet_of_diagonal_gaussians() -> None:
    first, second = np.array([4.0, 9.0, 0.0]), np.array([1.0, 16.0, 25.0])
    zero = np.zeros(3)
    found = frechet_gaussians(zero, np.diag(first), zero, np.diag(second))
    assert found == pytest.approx((2 - 1) ** 2 + (3 - 4) ** 2 + (0 - 5) ** 2)


def test_frechet_of_full_gaussians_with_shared_axes() -> None:
    axes = rotation(3, 6)
    first, second = np.arange(1.0, 7.0), np.arange(6.0, 0.0, -1.0)
    zero = np.zeros(6)
    found = frechet_gaussians(zero, axes * first @ axes.T, np.ones(6), axes * second @ axes.T)
    assert found == pytest.approx(6 + ((np.sqrt(first) - np.sqrt(second)) ** 2).sum())


def test_frechet_of_gaussians_that_do_not_commute() -> None:
    first, second = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    assert np.abs(first @ second - second @ first).max() > 1
    # In two dimensions, tr √M = √(tr M + 2 √det M).
    product = first @ second
    root = math.sqrt(np.trace(product) + 2 * math.sqrt(np.linalg.det(product)))
    zero = np.zeros(2)
    found = frechet_gaussians(zero, first, zero, second)
    assert found == pytest.approx(5 + 6 - 2 * root)
    assert frechet_gaussians(zero, second, zero, first) == pytest.approx(found)


def test_frechet_of_gaussians_on_two_lines() -> None:
    first, second = normal(4, 2, 40)
    found = frechet_gaussians(
        np.zeros(40), np.outer(first, first), np.zeros(40), np.outer(second, second)
    )
    expected = first @ first + second @ second - 2 * abs(first @ second)
    assert found == pytest.approx(expected, rel=1e-10)


def test_frechet_of_gaussians_without_spread_is_that_of_their_means() -> None:
    flat = np.zeros((2, 2))
    assert frechet_gaussians(np.zeros(2), flat, np.array([3.0, 4.0]), flat) == 25


@pytest.mark.parametrize(("n", "d"), [(200, 8), (10, 60), (2, 3), (50, 1)])
def test_frechet_of_a_set_and_itself_is_0(n: int, d: int) -> None:
    sample = normal(5, n, d)
    found = frechet(sample, sample)
    assert 0 <= found < 1e-9 * d
    assert frechet(sample, sample + 1) == pytest.approx(d)


def test_frechet_is_symmetric_and_invariant_to_order_rotation_and_translation() -> None:
    real, fake = normal(6, 50, 4), 2 * normal(7, 30, 4) + 1
    found = frechet(real, fake)
    axes, shift = rotation(8, 4), np.array([5.0, -3.0, 0.0, 100.0])
    assert found > 1
    assert frechet(fake, real) == pytest.approx(found)
    assert frechet(real[::-1], fake[::-1]) == pytest.approx(found)
    assert frechet(real @ axes + shift, fake @ axes + shift) == pytest.approx(found)


def test_frechet_computes_in_float64_for_any_input_type() -> None:
    # In float32 the spread would be lost beside the offset.
    real = (normal(9, 100, 3) + 4096).astype(np.float32)
    fake = (2 * normal(10, 100, 3) + 4096).astype(np.float32)
    exact = frechet(real.astype(np.float64), fake.astype(np.float64))
    assert frechet(real, fake) == pytest.approx(exact, rel=1e-12)


def test_frechet_of_gaussians_accepts_asymmetry_from_float32_rounding() -> None:
    sample = normal(11, 20, 30).astype(np.float32)
    covariance = np.cov(sample, rowvar=False, dtype=np.float32)
    covariance[0, 1] *= 1 + 1e-7
    mean = sample.mean(axis=0)
    assert frechet_gaussians(mean, covariance, mean, covariance) < 1e-4


def test_frechet_of_gaussians_computes_in_float64_for_any_input_type() -> None:
    mean, zero = np.array([2048.0, 0.0], dtype=np.float16), np.array([0.5, 0.0], dtype=np.float16)
    covariance = np.diag([40000.0, 40000.0]).astype(np.float16)  # whose trace float16 cannot hold
    assert frechet_gaussians(mean, covariance, zero, covariance) == pytest.approx(2047.5**2)


# Kernel inception distance


def naive_kid(real: Array, fake: Array) -> float:
    def kernel(a: Array, b: Array) -> float:
        return float((sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3)

    def within(rows: Array) -> float:
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
        return sum(kernel(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    across = sum(kernel(a, b) for a in real for b in fake) / (len(real) * len(fake))
    return within(real) + within(fake) - 2 * across


def test_kid_by_hand() -> None:
    # Within: k(0, 2) = 1 and k(1, -1) = 0. Across: 1, 1, 3³ = 27 and (-1)³ = -1.
    real, fake = np.array([[0.0], [2.0]]), np.array([[1.0], [-1.0]])
    assert kid(real, fake) == pytest.approx(1 + 0 - 2 * (1 + 1 + 27 - 1) / 4)


@pytest.mark.parametrize("block", SIZES)
@pytest.mark.parametrize(("n", "m", "d"), [(30, 20, 3), (20, 30, 1), (2, 2, 4)])
def test_kid_is_the_naive_double_loop(
    monkeypatch: pytest.MonkeyPatch, block: int, n: int, m: int, d: int
) -> None:
    monkeypatch.setattr(distances, "BLOCK", block)
    real, fake = normal(12, n, d), normal(13, m, d) + 0.5
    assert kid(real, fake) == pytest.approx(naive_kid(real, fake), rel=1e-10)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kid_is_unbiased(shift: float) -> None:
    # Moments of N(0, 1): 0, 1, 0; of N(s, 1): s, s² + 1, s³ + 3 s. The kernel (x y + 1)³ weighs
    # their squared gaps with 3, 3 and 1.
    truth = 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift) ** 2
    found = [
        kid(normal(1000 + seed, 40, 1), normal(9000 + seed, 30, 1) + shift) for seed in range(1000)
    ]
    error = np.std(found) / math.sqrt(len(found))
    # If samples were paired with themselves, the mean would be wrong by 24 / 40 + 24 / 30 or more.
    assert error < 0.2
    assert abs(np.mean(found) - truth) < 4 * error


def test_kid_of_large_sets_nears_its_closed_form() -> None:
    real, fake = normal(14, 4000, 1), normal(15, 4000, 1) + 1
    assert kid(real, fake) == pytest.approx(3 + 3 + 16, rel=0.15)
    assert abs(kid(real, normal(16, 4000, 1))) < 0.1


def test_kid_is_symmetric_and_invariant_to_order_and_rotation() -> None:
    real, fake = normal(17, 30, 4), normal(18, 20, 4) + 1
    found, axes = kid(real, fake), rotation(19, 4)
    assert found > 1
    assert kid(fake, real) == pytest.approx(found)
    assert kid(real[::-1], fake[::-1]) == pytest.approx(found)
    assert kid(real @ axes, fake @ axes) == pytest.approx(found)


# Precision and recall, density and coverage


def in_balls(centres: Array, points: Array, k: int) -> NDArray[np.bool_]:
    """``(centres, points)``: whether a point lies in a centre's closed ball, by plain loops.

    Squared distances between whole numbers are exact, so ties are decided without rounding.
    """

    def squared(a: Array, b: Array) -> float:
        return sum(float(p - q) ** 2 for p, q in zip(a, b, strict=True))

    inside = np.zeros((len(centres), len(points)), dtype=bool)
    for i, centre in enumerate(centres):
        others = sorted(squared(centre, other) for j, other in enumerate(centres) if j != i)
        for j, point in enumerate(points):
            inside[i, j] = squared(centre, point) <= others[k - 1]
    return inside


def test_precision_and_recall_by_hand() -> None:
    real, fake = np.array([[0.0], [1.0], [10.0]]), np.array([[2.0], [2.5], [30.0], [60.0]])
    # With k = 1, real balls: 0 ± 1, 1 ± 1, 10 ± 9; fake balls: 2 ± 0.5, 2.5 ± 0.5, 30 ± 27.5,
    # 60 ± 30.
    assert precision_recall(real, fake, k=1) == (2 / 4, 1 / 3)
    # With k = 2: 0 ± 10, 1 ± 9, 10 ± 10; 2 ± 28, 2.5 ± 27.5, 30 ± 28, 60 ± 57.5.
    assert precision_recall(real, fake, k=2) == (2 / 4, 3 / 3)


def test_density_and_coverage_by_hand() -> None:
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    # With k = 1: 0 ± 1, 1 ± 1, 2 ± 1, 10 ± 8. Two balls hold the first fake, none the second.
    assert density_coverage(real, np.array([[1.5], [100.0]]), k=1) == (1.0, 2 / 4)
    # With k = 2: 0 ± 2, 1 ± 1, 2 ± 2, 10 ± 9. Three and none: 3 / 2 fakes / k.
    assert density_coverage(real, np.array([[1.5], [100.0]]), k=2) == (4 / 4, 4 / 4)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_set_against_itself(k: int) -> None:
    sample = normal(20, 200, 6)
    assert precision_recall(sample, sample[::-1], k) == (1, 1)
    # Every ball contains its own centre and k neighbours, the furthest on its boundary.
    assert density_coverage(sample, sample[::-1], k) == pytest.approx(((k + 1) / k, 1))


@pytest.mark.parametrize("offset", [50.0, 1e6])
def test_sets_apart(offset: float) -> None:
    real, fake = normal(21, 100, 4), normal(22, 80, 4) + offset
    assert precision_recall(real, fake) == (0, 0)
    assert density_coverage(real, fake) == (0, 0)


def test_fakes_in_one_of_two_clusters_are_precise_and_miss_half() -> None:
    left, right = normal(23, 60, 3), normal(24, 60, 3) + 100
    real = np.concatenate([left, right])
    assert precision_recall(real, left) == (1, 0.5)
    assert precision_recall(left, real) == (0.5, 1)
    assert density_coverage(real, left) == pytest.approx((6 / 5, 0.5))
    assert density_coverage(left, real) == pytest.approx((6 / 5 / 2, 1))


def test_fresh_samples_of_the_same_distribution_score_high() -> None:
    real, fake = normal(25, 1000, 2), normal(26, 1000, 2)
    precision, recall = precision_recall(real, fake)
    assert 0.9 < precision < 1
    assert 0.9 < recall < 1
    density, coverage = density_coverage(real, fake)
    assert density == pytest.approx(1, abs=0.1)
    # A ball contains no fake if the k nearest of the 1999 other samples are all real.
    missed = math.prod((1000 - i) / (2000 - i) for i in range(1, 6))
    assert coverage == pytest.approx(1 - missed, abs=0.03)


def test_balls_of_radius_0_contain_duplicates() -> None:
    same = np.full((8, 3), 0.5)
    assert precision_recall(same, same) == (1, 1)
    assert density_coverage(same, same) == (8 / 5, 1)
    assert precision_recall(same, same + 1e-3) == (0, 0)


def test_k_is_3_for_precision_and_5_for_density_by_default() -> None:
    real, fake = normal(51, 200, 4), normal(52, 200, 4) + 1
    assert precision_recall(real, fake) == precision_recall(real, fake, k=3)
    assert density_coverage(real, fake) == density_coverage(real, fake, k=5)
    for k in (2, 4):
        assert precision_recall(real, fake) != precision_recall(real, fake, k=k)
        assert density_coverage(real, fake) != density_coverage(real, fake, k=k + 2)


def test_the_kth_neighbour_is_found_among_many() -> None:
    real, fake = normal(53, 300, 2), normal(54, 300, 2)
    gaps = np.linalg.norm(real[:, None] - real, axis=2)
    inside = np.linalg.norm(real[:, None] - fake, axis=2) <= np.sort(gaps, axis=1)[:, [120]]
    expected = (inside.sum() / (300 * 120), inside.any(axis=1).mean())
    assert density_coverage(real, fake, k=120) == pytest.approx(expected)


def test_an_outlier_inflates_precision_but_not_density() -> None:
    # One far real sample has a ball as wide as the gap; fakes all over it count as precise.
    real = np.concatenate([normal(27, 100, 2), [[1000.0, 0.0]]])
    fake = 20 * normal(28, 100, 2) + [900.0, 0.0]
    assert precision_recall(real, fake).precision == 1
    assert density_coverage(real, fake) == pytest.approx((1 / 5, 1 / 101))


@pytest.mark.parametrize("block", SIZES)
@pytest.mark.parametrize("k", [1, 3, 8, 15])
def test_manifolds_are_those_of_naive_loops_ties_included(
    monkeypatch: pytest.MonkeyPatch, block: int, k: int
) -> None:
    monkeypatch.setattr(distances, "BLOCK", block)
    real, fake = lattice(29, 30), lattice(30, 20) + 3
    on_real, on_fake = in_balls(real, fake, k), in_balls(fake, real, k)
    assert precision_recall(real, fake, k) == (
        on_real.any(axis=0).mean(),
        on_fake.any(axis=0).mean(),
    )
    expected = (on_real.sum() / (20 * k), on_real.any(axis=1).mean())
    assert density_coverage(real, fake, k) == pytest.approx(expected)


def test_distances_are_exact_far_from_the_origin() -> None:
    real, fake = lattice(31, 30), lattice(32, 20) + 3
    far = 2.0**40  # squares of 2⁸⁰ keep nothing of a distance of 1
    assert precision_recall(real + far, fake + far) == precision_recall(real, fake)
    assert density_coverage(real + far, fake + far) == density_coverage(real, fake)
    assert copies(real + far, fake + far, fake + far, 0.5) == copies(real, fake, fake, 0.5)


def test_manifolds_are_invariant_to_order_and_scale_and_swap_with_the_sets() -> None:
    real, fake = normal(33, 80, 3), normal(34, 60, 3) + 0.7
    found, other = precision_recall(real, fake), density_coverage(real, fake)
    assert found.precision != found.recall
    assert precision_recall(fake, real) == found[::-1]
    moves: list[Callable[[Array], Array]] = [
        lambda x: x[::-1],
        lambda x: 1000 * x,
        lambda x: x @ rotation(35, 3) - 9,
    ]
    for move in moves:
        assert precision_recall(move(real), move(fake)) == found
        assert density_coverage(move(real), move(fake)) == pytest.approx(other)


# Copies


def test_copies_of_the_training_set_are_all_found() -> None:
    train, test = normal(36, 300, 8), normal(37, 200, 8)
    assert copies(train, test, train[::3]) == 1
    assert copies(train, test, train + 1e-3 * normal(38, 300, 8)) == 1


def test_half_the_fakes_copied_are_half_the_fakes() -> None:
    train, test = normal(36, 300, 8), normal(37, 200, 8)
    assert copies(train, test, np.concatenate([train[:50], test[:50] + 100])) == 0.5


def test_copies_are_found_even_if_test_samples_are_in_the_training_set() -> None:
    # The threshold is then 0, and rounding must not lift a copy above it.
    train = normal(39, 300, 8) + 7
    assert copies(train, train[::-1], train[::2], quantile=0.5) == 1
    assert copies(train, train, train + 0.01, quantile=0.5) == 0
    same = np.full((100, 3), 0.5)
    assert copies(same, same, same) == 1


@pytest.mark.parametrize("quantile", [0.01, 0.05, 0.5])
def test_the_share_of_copies_among_fresh_samples_is_the_quantile(quantile: float) -> None:
    train, test, fake = normal(40, 1000, 3), normal(41, 2000, 3), normal(42, 2000, 3)
    deviation = math.sqrt(2 * quantile * (1 - quantile) / 2000)
    assert abs(copies(train, test, fake, quantile) - quantile) < 4 * deviation
    assert copies(train, test, test, quantile) == quantile
    assert copies(train, test, test) == 0.01


def test_fakes_far_from_everything_are_no_copies() -> None:
    assert copies(normal(43, 100, 3), normal(44, 100, 3), normal(45, 50, 3) + 100) == 0


def test_the_threshold_is_a_distance_of_the_test_samples() -> None:
    train, test = np.array([[0.0], [100.0]]), np.array([[1.0], [3.0], [106.0], [110.0]])
    fake = np.array([[-3.0], [104.0], [94.0], [8.0], [50.0]])
    # Distances of the tests: 1, 3, 6, 10. Of the fakes: 3, 4, 6, 8, 50.
    found = [copies(train, test, fake, quantile) for quantile in (0.25, 0.5, 0.75, 0.9)]
    assert found == [0, 1 / 5, 3 / 5, 4 / 5]


@pytest.mark.parametrize("block", SIZES)
def test_copies_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    train, test, fake = lattice(46, 30, 4), lattice(47, 20, 4), lattice(48, 50, 4)
    nearest = [[min(math.dist(a, b) for b in train) for a in rows] for rows in (test, fake)]
    threshold = sorted(nearest[0])[9]
    expected = np.mean([distance <= threshold + 1e-9 for distance in nearest[1]])
    assert 0 < expected < 1
    monkeypatch.setattr(distances, "BLOCK", block)
    assert copies(train, test, fake, 0.5) == expected


# Errors

GOOD = normal(50, 200, 3)


def with_value(value: float) -> Array:
    features = GOOD.copy()
    features[5, 1] = value
    return features


@pytest.mark.parametrize("metric", [frechet, kid, precision_recall, density_coverage])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (GOOD[0], r"has shape \(3,\)"),
        (GOOD[None], r"has shape \(1, 200, 3\)"),
        (GOOD[:, :0], r"has shape \(200, 0\)"),
        (GOOD[:0], r"has shape \(0, 3\)"),
        (GOOD[:, :2], r"(real|fake) \(200, 2\)"),
        (with_value(np.nan), "1 values that are not finite"),
        (with_value(-np.inf), "1 values that are not finite"),
    ],
)
def test_invalid_sets_are_refused_by_name(metric: Metric, bad: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message) as first:
        metric(bad, GOOD)
    with pytest.raises(ValueError, match=message) as second:
        metric(GOOD, bad)
    assert "real" in str(first.value)
    assert "fake" in str(second.value)


@pytest.mark.parametrize("metric", [frechet, kid])
def test_one_sample_is_too_few(metric: Metric) -> None:
    with pytest.raises(ValueError, match=r"fake has shape \(1, 3\), not \(n, d\) with n ≥ 2"):
        metric(GOOD, GOOD[:1])
    metric(GOOD, GOOD[:2])


@pytest.mark.parametrize(
    ("metric", "sides"), [(precision_recall, ("real", "fake")), (density_coverage, ("real",))]
)
def test_k_must_be_smaller_than_the_set(metric: Metric, sides: tuple[str, ...]) -> None:
    few = {"real": GOOD, "fake": GOOD}
    for side in sides:
        with pytest.raises(
            ValueError, match=f"k is 4, not from 1 to below the 4 samples of {side}"
        ):
            metric(**few | {side: GOOD[:4]}, k=4)
        metric(**few | {side: GOOD[:5]}, k=4)
    for k in (0, -1):
        with pytest.raises(ValueError, match=f"k is {k}, not"):
            metric(GOOD, GOOD, k=k)


def test_density_and_coverage_take_a_single_fake() -> None:
    assert density_coverage(GOOD, GOOD[:1]).coverage > 0


@pytest.mark.parametrize("name", ["train", "test", "fake"])
def test_copies_refuses_invalid_sets_by_name(name: str) -> None:
    for bad in (GOOD[0], GOOD[:0], with_value(np.inf), GOOD[:, :1]):
        sets = {"train": GOOD, "test": GOOD, "fake": GOOD} | {name: bad}
        with pytest.raises(ValueError, match=name):
            copies(sets["train"], sets["test"], sets["fake"])


@pytest.mark.parametrize("quantile", [-0.1, 0.0, 0.001, 1.0, 1.5, math.nan])
def test_copies_refuses_a_quantile_that_the_test_samples_cannot_resolve(quantile: float) -> None:
    with pytest.raises(ValueError, match=f"quantile is {quantile}, not from 1 / 200 test samples"):
        copies(GOOD, GOOD, GOOD, quantile)
    assert copies(GOOD, GOOD, GOOD, 1 / 200) == 1


@pytest.mark.parametrize(
    ("mean", "covariance", "message"),
    [
        (np.zeros((1, 2)), np.eye(2), r"mean \(1, 2\), covariance \(2, 2\)"),
        (np.zeros(0), np.eye(0), r"mean \(0,\), covariance \(0, 0\)"),
        (np.zeros(2), np.eye(3), r"mean \(2,\), covariance \(3, 3\)"),
        (np.zeros(2), np.ones(2), r"mean \(2,\), covariance \(2,\)"),
        (np.array([0, np.nan]), np.eye(2), "not finite"),
        (np.zeros(2), np.diag([1, np.inf]), "not finite"),
        (np.zeros(2), np.array([[1, 0.5], [0, 1]]), "not a covariance: asymmetry 0.5"),
        (np.zeros(2), np.diag([1.0, -0.1]), "not a covariance: .* lowest eigenvalue -0.1"),
        (np.zeros(3), np.eye(3), r"shapes \((2|3),\) and \((2|3),\)"),
    ],
)
def test_invalid_gaussians_are_refused(mean: Array, covariance: Array, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frechet_gaussians(mean, covariance, np.zeros(2), np.eye(2))
    with pytest.raises(ValueError, match=message):
        frechet_gaussians(np.zeros(2), np.eye(2), mean, covariance)
