import pytest

from training.loop.schedule import rate_factor


@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_without_decay_the_factor_stays_one(steps: int) -> None:
    assert {rate_factor(step, steps, 1) for step in range(steps)} == {1.0}


def test_over_the_second_half_it_falls_in_a_straight_line() -> None:
    factors = [rate_factor(step, 8, 0.5) for step in range(8)]
    assert factors == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_it_may_fall_from_the_first_step_on() -> None:
    assert [rate_factor(step, 4, 0) for step in range(4)] == [1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("decay_from", [0, 0.3, 0.9, 0.999, 1])
def test_it_never_rises_and_never_reaches_zero(decay_from: float) -> None:
    factors = [rate_factor(step, 1000, decay_from) for step in range(1000)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == 1
    assert factors[-1] > 0
