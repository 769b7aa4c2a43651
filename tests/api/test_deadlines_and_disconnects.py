"""Deadlines and clients that leave, by the application itself."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message

from app.imaging.sheets import Pixels
from app.main import create_app
from app.registry.registry import Registry
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine
from app.settings import Settings

GENERATE = "/generate?n=4&seed=1"


@pytest.fixture
def app(models: Path) -> FastAPI:
    return create_app(Settings(models=models, provider="cpu", timeout=9, max_batch=2))


class HeldUp:
    """An engine that counts its images, and holds the first of them up until told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.open, self.images = threading.Event(), threading.Event(), 0
        compute = Engine.__call__

        def held(engine: Engine, rows: GraphInputs) -> Pixels:
            self.images += sum(map(len, rows.values()))
            self.entered.set()
            assert self.open.wait(60)
            return compute(engine, rows)

        monkeypatch.setattr(Engine, "__call__", held)


def drawing(
    app: FastAPI, gone: Callable[[], Awaitable[Message]], *, whole: bool = True
) -> Awaitable[list[Message]]:
    """What the application answers to a client that has sent all that it will."""
    scope = {"type": "http", "method": "POST", "path": "/generate", "query_string": b"n=4&seed=1"}
    sent: list[Message] = []
    received = iter([{"type": "http.request", "body": b"", "more_body": not whole}])

    async def receive() -> Message:
        return next(received, None) or await gone()

    async def send(message: Message) -> None:
        sent.append(message)

    async def answered() -> list[Message]:
        await app({**scope, "headers": [], "client": ("test", 1)}, receive, send)
        return sent

    return answered()


def test_a_client_that_leaves_frees_its_rows_before_they_are_computed(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = HeldUp(monkeypatch)

    async def stay() -> Message:
        return await asyncio.Future()

    async def leave() -> Message:
        await asyncio.to_thread(engine.entered.wait, 60)
        return {"type": "http.disconnect"}

    async def scenario() -> None:
        first = asyncio.create_task(drawing(app, stay))
        await asyncio.to_thread(engine.entered.wait, 60)
        (start, _) = await drawing(app, leave)
        assert start["status"] == 499
        engine.open.set()
        assert (await first)[0]["status"] == 200
        registry: Registry = app.state.services.registry
        assert registry.find().batcher.counts.left == 4
        await registry.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))
    assert engine.images == 4


def test_a_client_that_leaves_before_all_of_its_request_is_there_is_no_failure(
    app: FastAPI,
) -> None:
    async def leave() -> Message:
        return {"type": "http.disconnect"}

    (start, _) = asyncio.run(drawing(app, leave, whole=False))
    assert start["status"] == 499


def test_what_is_not_drawn_in_time_is_504_and_says_what_was_waited_for(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(app) as client:
        engine = HeldUp(monkeypatch)
        late = client.post(GENERATE, headers={"X-Request-Timeout": "0.05"})
        assert late.status_code == 504
        assert late.headers["Content-Type"] == "application/problem+json"
        told = late.json()["detail"]
        assert told.startswith("not generated in time: after 0.0")
        assert told.endswith("s 2 of 4 images were still in the queue")
        engine.open.set()
        assert client.post(GENERATE, headers={"X-Request-Timeout": "9"}).is_success
        assert engine.images == 2 + 4


@pytest.mark.parametrize("told", ["0", "-1", "9.1", "nan", "inf", "soon", "", "1, 2", "1_0"])
def test_a_timeout_that_is_not_allowed_is_named(app: FastAPI, told: str) -> None:
    with TestClient(app) as client:
        problem = client.post(GENERATE, headers={"X-Request-Timeout": told}).json()
    assert problem["status"] == 422
    (offence,) = problem["errors"]
    assert offence == {
        "parameter": "X-Request-Timeout",
        "in": "header",
        "value": told,
        "allowed": "a number of seconds above 0, at most 9",
    }
