"""Lines that are sent while the next images are drawn: a real socket, an engine behind a gate."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from app.api import streaming
from app.errors import Problem
from app.imaging.sheets import Pixels
from app.main import create_app
from app.runtime.engine import Engine
from app.settings import Settings
from tests.waiting import eventually

WAY = "/interpolate?from=3&to=17&format=ndjson&steps"


class Gate:
    """Stands before the engine, and lets one batch through for each time it is opened."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.fails = False
        self._open = threading.Semaphore(0)

    def open(self, times: int = 1) -> None:
        self._open.release(times)

    def hold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compute = Engine.__call__

        def held(engine: Engine, rows: dict[str, np.ndarray]) -> Pixels:
            self.batches.append(len(rows["latents"]))
            assert self._open.acquire(timeout=60)
            if self.fails:
                raise RuntimeError("the engine broke")
            return compute(engine, rows)

        monkeypatch.setattr(Engine, "__call__", held)


@dataclass
class Gated:
    """A server on a socket, in a thread, with a gate before its engine."""

    server: uvicorn.Server
    address: str
    gate: Gate


@pytest.fixture
def gated(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gated]:
    app = create_app(Settings(models=models, provider="cpu"))  # warmed up without the gate
    gate = Gate()
    gate.hold(monkeypatch)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Gated(server, f"http://127.0.0.1:{port}", gate)
    finally:
        gate.open(100)  # whatever failed, the server can stop
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@contextmanager
def lines(address: str) -> Iterator[Iterator[dict[str, object]]]:
    """The lines of an answer, each as soon as it is there."""
    with httpx.stream("GET", address, timeout=60) as answer:
        assert answer.status_code == 200
        yield (json.loads(line) for line in answer.iter_lines())


def test_the_first_image_is_there_before_the_second_is_drawn(gated: Gated) -> None:
    gate = gated.gate
    gate.open()
    with lines(f"{gated.address}{WAY}=8") as read:
        assert next(read)["position"] == 0
        assert sum(gate.batches) <= 3  # what is drawn now waits at the gate
        gate.open(10)
        assert [line["position"] for line in read] == pytest.approx([k / 7 for k in range(1, 8)])
    assert gate.batches == [1, 2, 4, 1]


def test_who_leaves_ends_the_drawing(gated: Gated, caplog: pytest.LogCaptureFixture) -> None:
    address, gate = gated.address, gated.gate
    gate.open()
    with lines(f"{address}{WAY}=200") as read:
        next(read)
        eventually(lambda: len(gate.batches) == 2)
    eventually(lambda: not gated.server.server_state.tasks)
    gate.open(10)
    assert httpx.get(f"{address}/images/fashion-mnist/2/5.png").is_success
    assert gate.batches == [1, 2, 1]  # of 200 images three, and then the other request's
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_failure_on_the_way_is_the_last_line(gated: Gated) -> None:
    gated.gate.open()
    with lines(f"{gated.address}{WAY}=8") as read:
        next(read)
        gated.gate.fails = True
        gated.gate.open()
        (told,) = read
    problem = Problem.model_validate(told)
    assert (problem.status, problem.instance) == (500, "/interpolate")
    assert problem.detail.startswith("these images could not be computed")


def test_a_failure_of_the_first_image_has_its_status(gated: Gated) -> None:
    gated.gate.fails = True
    gated.gate.open()
    answer = httpx.get(f"{gated.address}{WAY}=8")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("rest", ["", "&loop=true", "&easing=ease-in-out&edit=glasses:2"])
def test_its_lines_are_the_frames_of_json(client: TestClient, rest: str) -> None:
    path = f"/interpolate?seeds=3,17,99&model=faces&steps=9{rest}"
    answer = client.get(f"{path}&format=ndjson")
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert (answer.headers["X-Model"], answer.headers["X-Seed"]) == ("faces/1", "3")
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.content.endswith(b"}\n")
    told = [json.loads(line) for line in answer.content.splitlines()]
    assert told == client.get(f"{path}&format=json").json()["frames"]
    assert all(one["position"] < other["position"] for one, other in pairwise(told))


def test_pieces_grow_and_are_all_of_the_rows() -> None:
    rows = np.arange(60, dtype=np.float32).reshape(30, 2)
    found = list(streaming.pieces(rows))
    assert [len(piece) for piece in found] == [1, 2, 4, 8, 15]
    np.testing.assert_array_equal(np.concatenate(found), rows)
    assert [len(piece) for piece in streaming.pieces(np.zeros((256, 2), np.float32))][5:] == [
        16
    ] * 14 + [1]
