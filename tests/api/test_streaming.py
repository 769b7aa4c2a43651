"""Streams of frames: sent over a socket, from an engine that computes one batch at a time."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.errors import Problem
from app.main import create_app
from app.settings import Settings
from tests.engines import BlockedEngine
from tests.waiting import PATIENCE, eventually

PATH = "/interpolate?from=3&to=17&format=ndjson&steps"


class SteppedEngine(BlockedEngine):
    """Computes one batch for every permit."""

    def __init__(self, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(TestClient(app), monkeypatch)
        self._permits = threading.Semaphore(0)

    def permit(self, batches: int = 1) -> None:
        self._permits.release(batches)

    def wait(self) -> bool:
        return self._permits.acquire(timeout=60)


@dataclass
class Stepped:
    """A server on a socket, in a thread, with a stepped engine."""

    server: uvicorn.Server
    address: str
    engine: SteppedEngine


@pytest.fixture
def stepped(clothes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stepped]:
    app = create_app(Settings(models=clothes, provider="cpu"))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    eventually(lambda: server.started and not app.state.services.registry.loading)
    engine = SteppedEngine(app, monkeypatch)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Stepped(server, f"http://127.0.0.1:{port}", engine)
    finally:
        engine.permit(100)  # so that the server can stop even after a failure
        server.should_exit = True
        thread.join(PATIENCE)
    assert not thread.is_alive()


@contextmanager
def lines(address: str) -> Iterator[Iterator[dict[str, object]]]:
    """Return the lines of a response, each as soon as it arrives."""
    with httpx.stream("GET", address, timeout=60) as response:
        assert response.status_code == 200
        yield (json.loads(line) for line in response.iter_lines())


def test_the_first_image_arrives_before_the_second_is_computed(stepped: Stepped) -> None:
    engine = stepped.engine
    engine.permit()
    with lines(f"{stepped.address}{PATH}=8") as read:
        assert next(read)["position"] == 0
        assert sum(engine.batches) <= 3  # the second batch waits for its permit
        engine.permit(10)
        assert [line["position"] for line in read] == pytest.approx([k / 7 for k in range(1, 8)])
    assert engine.batches == [1, 2, 4, 1]


def test_no_more_images_are_computed_once_the_client_disconnects(
    stepped: Stepped, caplog: pytest.LogCaptureFixture
) -> None:
    address, engine = stepped.address, stepped.engine
    engine.permit()
    with lines(f"{address}{PATH}=200") as read:
        next(read)
        eventually(lambda: len(engine.batches) == 2)
    eventually(lambda: not stepped.server.server_state.tasks)
    engine.permit(10)
    assert httpx.get(f"{address}/images/fashion-mnist/2/5.png", timeout=PATIENCE).is_success
    assert engine.batches == [1, 2, 1]  # three of 200 images, and the other request's
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_failure_of_a_later_image_is_the_last_line(stepped: Stepped) -> None:
    engine = stepped.engine
    engine.permit()
    with lines(f"{stepped.address}{PATH}=8") as read:
        next(read)
        engine.failure = RuntimeError("the engine broke")
        engine.permit()
        (line,) = read
    problem = Problem.model_validate(line)
    assert (problem.status, problem.instance) == (500, "/interpolate")
    assert problem.detail.startswith("these images could not be computed")


def test_the_failure_of_the_first_image_is_the_status_of_the_response(stepped: Stepped) -> None:
    stepped.engine.failure = RuntimeError("the engine broke")
    stepped.engine.permit()
    response = httpx.get(f"{stepped.address}{PATH}=8", timeout=PATIENCE)
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("rest", ["", "&loop=true", "&easing=ease-in-out&edit=glasses:2"])
def test_the_lines_are_the_frames_of_the_json_response(client: TestClient, rest: str) -> None:
    path = f"/interpolate?seeds=3,17,99&model=faces&steps=9{rest}"
    response = client.get(f"{path}&format=ndjson")
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert (response.headers["X-Model"], response.headers["X-Seed"]) == ("faces/1", "3")
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.content.endswith(b"}\n")
    found = [json.loads(line) for line in response.content.splitlines()]
    assert found == client.get(f"{path}&format=json").json()["frames"]
    assert all(one["position"] < other["position"] for one, other in pairwise(found))
