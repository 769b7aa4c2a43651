"""What is refused before it is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.batching.batcher import Batcher
from app.main import create_app
from app.settings import Settings


@pytest.fixture
def full(models: Path) -> Iterator[TestClient]:
    """A server whose default model has room for two more images."""
    settings = Settings(models=models, provider="cpu", max_images=16, max_queue=20)
    with TestClient(create_app(settings)) as client:
        batcher(client)._shares.take("others", 18)  # noqa: SLF001
        yield client


def batcher(client: TestClient, model: str = "fashion-mnist") -> Batcher:
    found: Batcher = client.app.state.catalog.find(model).batcher  # type: ignore[attr-defined]
    return found


def read(client: TestClient, path: str) -> bool:
    """Whether a request that cannot be understood is found to be so."""
    status = client.post(f"{path}{'&' if '?' in path else '?'}colour=red").status_code
    assert status in {422, 503}
    return status == 422


def test_what_has_no_room_keeps_others_out_until_it_has(full: TestClient) -> None:
    assert full.post("/generate?n=2").is_success
    assert read(full, "/generate")
    first = full.post("/generate?n=3")
    assert first.status_code == 503
    assert not read(full, "/generate")
    again = full.post("/generate?n=1")
    assert again.headers["Retry-After"] == first.headers["Retry-After"]
    assert again.json() == first.json()
    batcher(full)._shares.free("others", 1)  # noqa: SLF001
    assert read(full, "/generate")
    assert full.post("/generate?n=3").is_success


def test_other_queues_and_other_paths_are_open(full: TestClient) -> None:
    assert full.post("/generate?n=3").status_code == 503
    assert full.post("/generate?n=3&model=faces").is_success
    assert full.get("/images/fashion-mnist/2/42.png").is_success
    assert full.get("/health/ready").is_success
    assert full.get("/grid?rows=1&cols=1").status_code == 503


def test_of_queues_that_are_full_no_more_are_remembered_than_there_may_be(full: TestClient) -> None:
    refused = [f"/generate?n=3&version={'0' * k}2" for k in range(110)]
    known = [full.post(path).status_code == 503 and not read(full, path) for path in refused]
    assert known == [True] * 100 + [False] * 10
