"""The rate limit in the application, with a clock that the tests set."""

import math
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app import main
from app.auth.rate_limit import BURST, RateLimiter
from app.main import create_app
from app.settings import Settings


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the application's rate limiter."""
    clock = Clock()
    monkeypatch.setattr(main, "RateLimiter", partial(RateLimiter, clock=clock))
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
def test_a_client_that_exceeds_its_rate_is_refused_until_retry_after(
    clothes: Path, clock: Clock, method: str, path: str, images: int
) -> None:
    rate = 0.05  # so that the burst is half an image
    settings = Settings(models=clothes, provider="cpu", rate=rate, cache_bytes=0)
    with TestClient(create_app(settings)) as client:
        assert client.request(method, path).status_code == 200
        refused = client.request(method, path)
        assert refused.status_code == 429
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert "0.05 images per second" in refused.json()["detail"]
        wait = int(refused.headers["Retry-After"])
        assert wait == math.ceil(images / rate - BURST)
        clock.now += wait - 1
        assert client.request(method, path).status_code == 429
        clock.now += 1
        assert client.request(method, path).status_code == 200
        assert 'dcgan_refusals_total{reason="rate"} 2.0' in client.get("/metrics").text
        assert client.get("/models").status_code == 200  # requests without images are not limited


@pytest.mark.usefixtures("clock")
def test_a_stream_that_has_begun_is_completed(clothes: Path) -> None:
    with TestClient(create_app(Settings(models=clothes, provider="cpu", rate=0.05))) as client:
        stream = {"Accept": "application/x-ndjson"}
        path = "/interpolate?from=1&to=2&steps=40"
        lines = client.get(path, headers=stream).text.splitlines()
        assert len(lines) == 40
        assert "png" in lines[-1]
        refused = client.get(path, headers=stream)
        assert int(refused.headers["Retry-After"]) == 40 / 0.05 - BURST
