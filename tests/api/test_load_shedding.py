"""Requests to full queues, which are refused before they are read."""

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.engines import BlockedEngine, occupied
from tests.waiting import eventually

Full = tuple[TestClient, Future[Any]]


@pytest.fixture
def full(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Full]:
    """A server whose default model has room for two more images, and a queued request for one."""
    settings = Settings(models=models, provider="cpu", max_images=16, max_queue=20)
    with TestClient(create_app(settings)) as client:
        engine = BlockedEngine(client, monkeypatch)
        with occupied(client, engine, 17, 1) as (_, small):
            yield client, small


def queued(client: TestClient, path: str, method: str = "POST") -> bool:
    """Return whether the queue has room for a request; if so, wait there until its deadline."""
    response = client.request(method, path, headers={"X-Request-Timeout": "0.05"})
    assert response.status_code in {503, 504}
    return response.status_code == 504


def read(client: TestClient, path: str) -> bool:
    """Return whether the server reads a request, which it refuses for an unknown parameter."""
    status = client.post(f"{path}{'&' if '?' in path else '?'}colour=red").status_code
    assert status in {422, 503}
    return status == 422


def test_after_a_refusal_requests_are_refused_unread_until_there_is_room(full: Full) -> None:
    client, small = full
    assert queued(client, "/generate?n=2")
    assert read(client, "/generate")
    first = client.post("/generate?n=3")
    assert first.status_code == 503
    assert not read(client, "/generate")
    again = client.post("/generate?n=1")
    assert again.headers["Retry-After"] == first.headers["Retry-After"]
    assert again.json() == first.json()
    small.cancel()
    eventually(lambda: read(client, "/generate"))
    assert queued(client, "/generate?n=3")


def test_requests_to_other_queues_and_paths_are_read(full: Full) -> None:
    client, _ = full
    assert client.post("/generate?n=3").status_code == 503
    assert client.post("/generate?n=3&model=faces").is_success
    assert queued(client, "/images/fashion-mnist/2/42.png", "GET")
    assert client.get("/health/ready").is_success
    assert client.get("/grid?rows=1&cols=1").status_code == 503
