import pytest

from app.batching.throughput import Throughput


def test_unmeasured_it_is_a_second() -> None:
    assert Throughput().seconds(64) == 1.0


def test_the_first_batch_tells_the_pace() -> None:
    pace = Throughput()
    pace.measure(10, 2.0)
    assert pace.seconds(15) == pytest.approx(3.0)


def test_batches_weigh_less_the_longer_ago_they_were() -> None:
    pace = Throughput()
    pace.measure(10, 1.0)
    pace.measure(20, 1.0)
    assert pace.seconds(11) == pytest.approx(1.0)  # nine parts of 10 a second, one of 20
    for _ in range(100):
        pace.measure(20, 1.0)
    assert pace.seconds(20) == pytest.approx(1.0, rel=1e-3)
