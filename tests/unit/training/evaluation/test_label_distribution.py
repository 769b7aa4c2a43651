import math

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluation.label_distribution import (
    attribute_gap,
    attribute_shares,
    class_shares,
    kl_to_uniform,
)


def test_equal_shares_have_no_divergence() -> None:
    for classes in range(1, 60):
        shares = class_shares(np.tile(np.arange(classes), 3), classes)
        np.testing.assert_allclose(shares, np.full(classes, 1 / classes))
        assert 0 <= kl_to_uniform(shares) < 1e-12


def test_one_class_only_diverges_by_the_log_of_their_number() -> None:
    shares = class_shares(np.full(12, 3), 10)
    np.testing.assert_array_equal(shares, np.eye(10)[3])
    assert kl_to_uniform(shares) == pytest.approx(math.log(10))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint64])
def test_shares_and_divergence_of_unequal_classes(dtype: type[np.integer]) -> None:
    shares = class_shares(np.array([2, 0, 0, 0], dtype=dtype), 3)
    np.testing.assert_array_equal(shares, [0.75, 0, 0.25])
    expected = 0.75 * math.log(0.75 * 3) + 0.25 * math.log(0.25 * 3)
    assert kl_to_uniform(shares) == pytest.approx(expected)


def test_attributes_are_counted_independently() -> None:
    labels = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 1], [1, 0, 1]], dtype=bool)
    shares = attribute_shares(labels)
    assert shares.dtype == np.float64
    np.testing.assert_array_equal(shares, [1, 0, 0.75])


def test_the_gap_is_the_mean_absolute_difference() -> None:
    shares, others = np.array([0.5, 0.25, 1.0, 0.0]), np.array([0.25, 0.75, 1.0, 0.25])
    assert attribute_gap(shares, others) == attribute_gap(others, shares) == 0.25
    assert attribute_gap(shares, shares) == 0
    assert attribute_gap(np.ones(3), np.zeros(3)) == 1


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (np.zeros((2, 2), dtype=np.int64), 3, r"int64 of shape \(2, 2\)"),
        (np.zeros(0, dtype=np.int64), 3, r"shape \(0,\)"),
        (np.zeros(4), 3, "float64 of shape"),
        (np.array([0, 3]), 3, "range from 0 to 3, not within 0…2"),
        (np.array([-1, 2]), 3, "range from -1 to 2, not within 0…2"),
        (np.array([0]), 0, "not within 0…-1"),
    ],
)
def test_labels_outside_the_classes_are_refused(
    labels: NDArray[np.int64], classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        class_shares(labels, classes)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(3, dtype=bool), r"bool of shape \(3,\), not bool \(n, k\)"),
        (np.zeros((0, 2), dtype=bool), r"bool of shape \(0, 2\)"),
        (np.zeros((3, 2), dtype=np.uint8), "uint8 of shape"),
    ],
)
def test_labels_that_are_not_bool_tables_are_refused(
    labels: NDArray[np.bool_], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        attribute_shares(labels)
