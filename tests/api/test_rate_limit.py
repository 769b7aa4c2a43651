"""The rate limit, with a clock of the tests' own, and in the server."""

import math
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.auth.rate_limit import BURST, RateLimiter
from app.main import create_app
from app.settings import Settings


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_images_are_the_rate_times_the_time_plus_one_burst() -> None:
    clock, drawn = Clock(), 0
    rates = RateLimiter(5, clock)
    for _ in range(100 * 60):
        if not rates.wait("client"):
            rates.charge("client", 1)
            drawn += 1
        clock.now += 1 / 100
    assert drawn == pytest.approx(5 * (60 + BURST), abs=1)


def test_a_large_request_is_charged_in_full() -> None:
    clock = Clock()
    rates = RateLimiter(2, clock)
    rates.charge("client", 256)
    assert rates.wait("client") == 256 / 2 - BURST
    assert rates.wait("another") == 0
    clock.now += rates.wait("client") - 0.001
    assert rates.wait("client") > 0
    clock.now += 0.002
    assert rates.wait("client") == 0


def test_full_buckets_are_removed() -> None:
    clock = Clock()
    rates = RateLimiter(1, clock)
    for client in range(1000):
        rates.charge(client, 3)
        clock.now += 1
    assert len(rates) == 3
    assert all(rates.wait(client) == 0 for client in range(1000))


def test_without_a_rate_no_bucket_is_kept() -> None:
    rates = RateLimiter(0)
    rates.charge("client", 10**9)
    assert (rates.wait("client"), len(rates)) == (0, 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of the server's rates."""
    clock = Clock()
    monkeypatch.setattr(RateLimiter.__init__, "__defaults__", (clock,))
    return clock


@pytest.mark.parametrize(
    ("method", "path", "images"),
    [
        ("POST", "/generate?n=16", 16),
        ("GET", "/images/fashion-mnist/2/1.png", 1),
        ("GET", "/grid?rows=2&cols=3", 6),
        ("GET", "/variations?seed=1", 9),
        ("GET", "/interpolate?from=1&to=2&steps=16", 16),
    ],
)
def test_whoever_is_too_fast_is_told_when_to_come_back(
    models: Path, clock: Clock, method: str, path: str, images: int
) -> None:
    rate = 0.05  # so that the burst is half an image
    settings = Settings(models=models, provider="cpu", rate=rate, cache_bytes=0)
    with TestClient(create_app(settings)) as client:
        assert client.request(method, path).status_code == 200
        refused = client.request(method, path)
        assert refused.status_code == 429
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert "0.05 images a second" in refused.json()["detail"]
        wait = int(refused.headers["Retry-After"])
        assert wait == math.ceil(images / rate - BURST)
        clock.now += wait - 1
        assert client.request(method, path).status_code == 429
        clock.now += 1
        assert client.request(method, path).status_code == 200
        assert 'dcgan_refusals_total{reason="rate"} 2.0' in client.get("/metrics").text
        assert client.get("/models").status_code == 200  # what draws nothing costs nothing


@pytest.mark.usefixtures("clock")
def test_a_stream_that_has_begun_is_not_cut_short(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu", rate=0.05))) as client:
        stream = {"Accept": "application/x-ndjson"}
        path = "/interpolate?from=1&to=2&steps=40"
        lines = client.get(path, headers=stream).text.splitlines()
        assert len(lines) == 40
        assert "png" in lines[-1]
        refused = client.get(path, headers=stream)
        assert int(refused.headers["Retry-After"]) == 40 / 0.05 - BURST
