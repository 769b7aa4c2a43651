import numpy as np
import pytest

from app.latent import conditions, sampling
from app.latent.conditions import AttributeSampler, ClassSampler
from app.latent.sampling import SEEDS

MANY = range(20_000)

FACES = AttributeSampler(
    names=("beard", "blond_hair", "grey_hair"),
    patterns=(0b000, 0b001, 0b010, 0b101),
    excludes={
        "beard": frozenset(),
        "blond_hair": frozenset({"grey_hair"}),
        "grey_hair": frozenset({"blond_hair"}),
    },
)


def test_a_seed_alone_determines_its_class() -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.5, 0.3))
    together = sampler.from_seeds([5, 0, SEEDS - 1])
    assert together.dtype == np.float32
    for row, seed in zip(together, [5, 0, SEEDS - 1], strict=True):
        assert (sampler.from_seeds([seed]) == row).all()


def test_classes_are_one_hot_and_as_frequent_as_in_the_training_images() -> None:
    rows = ClassSampler(("a", "b", "c", "d"), (0.1, 0.0, 0.6, 0.3)).from_seeds(MANY)
    assert (np.sort(rows, axis=1)[:, -1] == 1).all()
    assert (rows.sum(axis=1) == 1).all()
    np.testing.assert_allclose(rows.mean(axis=0), [0.1, 0.0, 0.6, 0.3], atol=0.012)
    assert rows[:, 1].sum() == 0


def test_shares_need_not_sum_to_one_exactly() -> None:
    rows = ClassSampler(("a", "b"), (0.3333, 0.3333)).from_seeds(MANY)
    np.testing.assert_allclose(rows.mean(axis=0), [0.5, 0.5], atol=0.012)


def test_the_class_of_a_seed_is_independent_of_its_latent() -> None:
    rows = ClassSampler(("a", "b"), (0.5, 0.5)).from_seeds(MANY)
    latents = sampling.from_seeds(MANY, 64)
    correlations = np.corrcoef(rows[:, 0], latents.T)[0, 1:]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(len(MANY))


@pytest.mark.parametrize(("seed", "number"), [(0, 0.5104678439), (1, 0.2728795307)])
def test_the_number_that_decides_a_class_never_changes(seed: int, number: float) -> None:
    assert sampling.condition_numbers([seed])[0] == pytest.approx(number, abs=1e-9)


def test_few_seeds_have_the_same_numbers_as_many() -> None:
    seeds = [0, 1, 2**31, 2**32 - 1, *range(7, 4000, 13)]
    few = [sampling.condition_numbers([seed])[0] for seed in seeds]
    assert few == sampling.condition_numbers(seeds)


def test_attributes_are_combined_as_in_the_training_images() -> None:
    rows = FACES.from_seeds(MANY)
    found, counts = np.unique(rows, axis=0, return_counts=True)
    assert found.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 1]]
    np.testing.assert_allclose(counts / len(MANY), 0.25, atol=0.012)


def test_a_requested_attribute_clears_those_it_excludes() -> None:
    rows = np.array([[1, 0, 1], [0, 1, 0]], dtype=np.float32)
    assert FACES.changed(rows, {"blond_hair": 1}).tolist() == [[1, 1, 0], [0, 1, 0]]
    assert FACES.changed(rows, {"blond_hair": 0.5, "grey_hair": 0.5}).tolist() == [
        [1, 0.5, 0.5],
        [0, 0.5, 0.5],
    ]
    assert FACES.changed(rows, {"blond_hair": 0}).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert rows.tolist() == [[1, 0, 1], [0, 1, 0]]


def test_one_hot_rows_name_their_class() -> None:
    assert conditions.one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_the_typical_condition_is_the_most_frequent() -> None:
    assert ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4)).typical().tolist() == [[0, 1, 0]]
    assert FACES.typical().tolist() == [[0, 0, 0]]
    twice = AttributeSampler(("a", "b"), (0b01, 0b10, 0b10), {})
    assert twice.typical().tolist() == [[0, 1]]


def test_the_most_probable_condition_is_exact() -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    probabilities = np.float32([[0.1, 0.2, 0.7], [0.5, 0.5, 0], [0, 0, 0]])
    assert sampler.most_probable(probabilities).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert FACES.most_probable(probabilities).tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 0]]


def test_a_sum_of_classes_is_a_mixture() -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    a, b, c = np.eye(3, dtype=np.float32)[:, None]
    halves = np.concatenate([a, b])
    assert sampler.sum_of_means([a], []).tolist() == [[1, 0, 0]]
    assert sampler.sum_of_means([halves], []).tolist() == [[0.5, 0.5, 0]]
    assert sampler.sum_of_means([a, b], [a]).tolist() == [[0, 1, 0]]
    assert sampler.sum_of_means([a], [b]).tolist() == [[1, 0, 0]]
    assert sampler.sum_of_means([a, b], [c]).tolist() == [[0.5, 0.5, 0]]
    assert sampler.sum_of_means([halves], [a, b]).tolist() == [[0.5, 0.5, 0]]  # nothing is left


def test_a_sum_that_is_zero_but_for_rounding_is_zero() -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    a, b, _ = np.eye(3, dtype=np.float32)[:, None]
    thirds = [np.concatenate([a, a, b]), np.concatenate([a, b, b])]
    assert sampler.sum_of_means([a, b], thirds).tolist() == [[0.5, 0.5, 0]]
    for plus, minus in (([a, b], thirds), (thirds, [a, b])):
        assert FACES.sum_of_means(plus, minus).tolist() == [[0, 0, 0]]


def test_a_sum_of_attributes_is_from_0_to_1() -> None:
    glasses, none, both = (np.float32([row]) for row in ([1, 0, 0], [0, 0, 0], [1, 0, 1]))
    assert FACES.sum_of_means([both], [glasses]).tolist() == [[0, 0, 1]]
    assert FACES.sum_of_means([none], [glasses]).tolist() == [[0, 0, 0]]
    assert FACES.sum_of_means([both, glasses], [none]).tolist() == [[1, 0, 1]]


def test_a_condition_has_a_value_and_a_text() -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    assert sampler.value(np.float32([0, 1, 0])) == sampler.text(np.float32([0, 1, 0])) == "b"
    mixture = np.float32([0.7, 0, 0.3])
    assert sampler.value(mixture) == {"a": 0.7, "c": 0.3}
    assert sampler.text(mixture) == "a:0.7+c:0.3"
    row = np.float32([1, 0, 0.1])
    assert FACES.value(row) == {"beard": 1, "blond_hair": 0, "grey_hair": 0.1}
    assert FACES.text(row) == "beard,-blond_hair,grey_hair:0.1"


def test_weights_of_classes_are_scaled_to_sum_to_one() -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    weights = np.float32([[0, 5, 0], [1, 1, 2], [3e38, 3e38, 0], [0, 0, 1e-45]])
    mixtures = sampler.from_rows(weights)
    assert mixtures.dtype == np.float32
    assert mixtures.tolist() == [[0, 1, 0], [0.25, 0.25, 0.5], [0.5, 0.5, 0], [0, 0, 1]]


@pytest.mark.parametrize("row", [[0.7, 0.3, 0], [0.333333, 0.333333, 0.333333], [0.1, 0.2, 0.7]])
def test_weights_that_sum_to_one_already_keep_their_bits(row: list[float]) -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    weights = np.float32([row])
    assert sampler.from_rows(weights).tobytes() == weights.tobytes()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([0.5, -0.5, 1], "the value -0.5 but must have values of 0 or more"),
        ([0.5, np.nan, 1], "the value nan but"),
        ([0.5, np.inf, 1], "the value inf but"),
        ([0, 0, 0], "only zeros in row 1 but must have a weight above 0 there"),
    ],
)
def test_rows_that_are_no_mixtures_are_refused(row: list[float], reason: str) -> None:
    sampler = ClassSampler(("a", "b", "c"), (0.2, 0.4, 0.4))
    with pytest.raises(ValueError, match=reason):
        sampler.from_rows(np.float32([[1, 0, 0], row]))


def test_rows_of_attributes_are_from_0_to_1() -> None:
    rows = np.float32([[0, 0.25, 1]])
    assert FACES.from_rows(rows) is rows
    for wrong in (-0.25, 1.25, np.nan):
        with pytest.raises(ValueError, match=f"the value {wrong} but must have values from 0 to 1"):
            FACES.from_rows(np.float32([[0, 0, wrong]]))
