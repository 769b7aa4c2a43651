import pytest

from training.loop.schedule import pace


@pytest.mark.parametrize("steps", [1, 7, 1000])
def test_a_rate_that_never_decays_is_whole_to_the_end(steps: int) -> None:
    assert {pace(step, steps, 1) for step in range(steps)} == {1.0}


def test_over_the_second_half_it_falls_in_a_straight_line() -> None:
    assert [pace(step, 8, 0.5) for step in range(8)] == [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_from_the_first_step_on_it_may_fall_too() -> None:
    assert [pace(step, 4, 0) for step in range(4)] == [1, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("decay_from", [0, 0.3, 0.9, 0.999, 1])
def test_it_never_rises_and_never_reaches_nothing(decay_from: float) -> None:
    paces = [pace(step, 1000, decay_from) for step in range(1000)]
    assert paces == sorted(paces, reverse=True)
    assert paces[0] == 1
    assert paces[-1] > 0
