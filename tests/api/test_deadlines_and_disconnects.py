"""Requests whose deadline passes or whose client disconnects."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import Message

from app.main import create_app
from app.registry.registry import Registry
from app.settings import Settings
from tests.engines import BlockedEngine
from tests.waiting import scaled

GENERATE = "/generate?n=4&seed=1"


@pytest.fixture
def app(clothes: Path) -> FastAPI:
    return create_app(Settings(models=clothes, provider="cpu", timeout=9, max_batch=2))


async def generate(
    app: FastAPI, disconnect: Callable[[], Awaitable[Message]], *, complete: bool = True
) -> list[Message]:
    """Send GENERATE; the client disconnects when ``disconnect`` returns. Return the response.

    The body of the request is empty, or cut off if it is not ``complete``.
    """
    scope = {"type": "http", "method": "POST", "path": "/generate", "query_string": b"n=4&seed=1"}
    sent: list[Message] = []
    received = iter([{"type": "http.request", "body": b"", "more_body": not complete}])

    async def receive() -> Message:
        return next(received, None) or await disconnect()

    async def send(message: Message) -> None:
        sent.append(message)

    await app({**scope, "headers": [], "client": ("test", 1)}, receive, send)
    return sent


def test_queued_images_are_dropped_when_their_client_disconnects(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stay() -> Message:
        return await asyncio.Future()

    async def scenario() -> None:
        async with app.router.lifespan_context(app):
            engine = BlockedEngine(TestClient(app), monkeypatch)

            async def disconnect() -> Message:
                await asyncio.to_thread(engine.entered.wait, 60)
                return {"type": "http.disconnect"}

            first = asyncio.create_task(generate(app, stay))
            await asyncio.to_thread(engine.entered.wait, 60)
            (start, _) = await generate(app, disconnect)
            assert start["status"] == 499
            engine.release.set()
            assert (await first)[0]["status"] == 200
            registry: Registry = app.state.services.registry
            assert registry.find().batcher.counts.left == 4
        assert sum(engine.batches) == 4

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_client_that_disconnects_in_the_middle_of_its_body_causes_no_error(app: FastAPI) -> None:
    async def disconnect() -> Message:
        return {"type": "http.disconnect"}

    (start, _) = asyncio.run(generate(app, disconnect, complete=False))
    assert start["status"] == 499


def test_a_request_past_its_deadline_is_504_and_says_what_it_waited_for(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(app) as client:
        engine = BlockedEngine(client, monkeypatch)
        late = client.post(GENERATE, headers={"X-Request-Timeout": f"{scaled(0.2):.2f}"})
        assert late.status_code == 504
        assert late.headers["Content-Type"] == "application/problem+json"
        detail = late.json()["detail"]
        waited = r"not generated in time: after \d+\.\d\d s 2 of 4 images were still in the queue"
        assert re.fullmatch(waited, detail)
        engine.release.set()
        assert client.post(GENERATE, headers={"X-Request-Timeout": "9"}).is_success
        assert sum(engine.batches) == 2 + 4


def test_an_invalid_timeout_is_refused(app: FastAPI) -> None:
    with TestClient(app) as client:
        problem = client.post(GENERATE, headers={"X-Request-Timeout": "soon"}).json()
    assert problem["status"] == 422
    (error,) = problem["errors"]
    assert error == {
        "parameter": "X-Request-Timeout",
        "in": "header",
        "value": "soon",
        "allowed": "a number of seconds above 0, at most 9",
    }
