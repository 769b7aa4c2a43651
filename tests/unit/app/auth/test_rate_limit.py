import pytest

from app.auth.rate_limit import BURST, RateLimiter


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_client_gets_the_rate_times_the_time_plus_one_burst() -> None:
    clock, images = Clock(), 0
    limiter = RateLimiter(5, clock)
    for _ in range(100 * 60):
        if not limiter.wait("client"):
            limiter.charge("client", 1)
            images += 1
        clock.now += 1 / 100
    assert images == pytest.approx(5 * (60 + BURST), abs=1)


def test_a_large_request_is_charged_in_full() -> None:
    clock = Clock()
    limiter = RateLimiter(2, clock)
    limiter.charge("client", 256)
    assert limiter.wait("client") == 256 / 2 - BURST
    assert limiter.wait("another") == 0
    clock.now += limiter.wait("client") - 0.001
    assert limiter.wait("client") > 0
    clock.now += 0.002
    assert limiter.wait("client") == 0


def test_full_buckets_are_removed() -> None:
    clock = Clock()
    limiter = RateLimiter(1, clock)
    for client in range(1000):
        limiter.charge(client, 3)
        clock.now += 1
    assert len(limiter) == 3
    assert all(limiter.wait(client) == 0 for client in range(1000))


def test_without_a_rate_there_are_no_buckets() -> None:
    limiter = RateLimiter(0)
    limiter.charge("client", 10**9)
    assert (limiter.wait("client"), len(limiter)) == (0, 0)
