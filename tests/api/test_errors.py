"""Errors of the server: full queues, failed batches, unexpected exceptions, shutdown."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message

from app.main import create_app
from app.registry.model_version import ModelVersion
from app.registry.registry import Registry
from app.settings import Settings
from tests.engines import BlockedEngine, occupied
from tests.waiting import eventually


@pytest.fixture
def small(clothes: Path) -> Iterator[TestClient]:
    """A server with 16 images per request, one per batch, and 20 in the queue."""
    settings = Settings(models=clothes, provider="cpu", max_images=16, max_batch=1, max_queue=20)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def test_a_request_to_a_full_queue_is_refused_with_retry_after(
    small: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with occupied(small, BlockedEngine(small, monkeypatch), 16):
        refused = small.post("/generate?n=16")
    assert refused.status_code == 503
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "16 images are waiting" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert small.post("/generate?n=16").is_success


def test_too_many_images_name_their_parameter(small: TestClient) -> None:
    paths = {"n": ("POST", "/generate?n=17"), "steps": ("GET", "/interpolate?from=1&to=2&steps=17")}
    for parameter, (method, path) in paths.items():
        problem = small.request(method, path).json()
        assert problem["status"] == 422
        assert problem["errors"] == [
            {
                "parameter": parameter,
                "in": "query",
                "value": 17,
                "allowed": "at most 16 images in all",
            }
        ]


@pytest.mark.parametrize(
    ("path", "errors"),
    [
        ("/interpolate?seeds=1,2,3&steps=9", {"seeds": "1,2,3", "steps": 9}),
        ("/interpolate?seeds=1,2,3&steps=7&loop=true", {"seeds": "1,2,3", "steps": 7}),
        ("/grid?corners=1,2,3,4&rows=2&cols=9", {"rows": 2, "cols": 9}),
        ("/variations?seed=1&rows=2&cols=9", {"rows": 2, "cols": 9}),
    ],
)
def test_frames_and_neighbours_count_as_images(
    small: TestClient, path: str, errors: dict[str, object]
) -> None:
    problem = small.get(path).json()
    assert {one["parameter"]: one["value"] for one in problem["errors"]} == errors
    assert {one["allowed"] for one in problem["errors"]} == {"at most 16 images in all"}
    # One image less, or one row, is allowed.
    fewer = path.replace("steps=9", "steps=8").replace("steps=7", "steps=6")
    assert small.get(fewer.replace("cols=9", "cols=8")).is_success


def test_too_many_images_name_the_body_if_it_has_their_parameter(small: TestClient) -> None:
    problem = small.post("/arithmetic", json={"plus": [[1]], "neighbours": 25}).json()
    assert problem["status"] == 422
    allowed = "at most 16 images in all"
    error = {"parameter": "neighbours", "in": "body", "value": 25, "allowed": allowed}
    assert problem["errors"] == [error]
    assert small.post("/arithmetic", json={"plus": [[1]], "neighbours": 9}).is_success


def test_a_failed_batch_is_500_without_a_traceback_and_the_next_one_works(
    small: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = BlockedEngine(small, monkeypatch)
    engine.release.set()
    engine.failure = RuntimeError("device lost at 0xdeadbeef")
    response = small.post("/generate?n=1")
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "0xdeadbeef" not in response.text
    assert "0xdeadbeef" in caplog.text
    engine.failure = None
    assert small.post("/generate?n=1").is_success


def test_a_rule_that_json_schema_cannot_express_is_reported_in_pydantics_words(
    clothes: Path,
) -> None:
    app = create_app(Settings(models=clothes))

    @app.post("/either")
    async def either(body: dict[str, int | bytes]) -> None: ...

    problem = TestClient(app).post("/either", json={"x": []}).json()
    assert problem["status"] == 422
    assert problem["errors"][0]["parameter"].startswith("x")
    assert problem["errors"][0]["allowed"].startswith("Input should be a valid ")


def test_an_unexpected_exception_is_a_problem_without_a_traceback(
    small: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> ModelVersion:
        raise RuntimeError("secret")

    monkeypatch.setattr(Registry, "find", fail)
    response = small.post("/generate")
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in response.text


def test_after_the_shutdown_requests_for_images_are_refused(clothes: Path) -> None:
    app = create_app(Settings(models=clothes))
    with TestClient(app) as client:
        assert client.post("/generate?n=1").is_success
    response = TestClient(app).post("/generate?n=1")
    assert response.status_code == 503
    assert "shutting down" in response.json()["detail"]


class Body:
    """The ASGI callable from which a request's body is received."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def __call__(self) -> Message:
        return {"type": "http.request", "body": self.content, "more_body": False}


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/v1/images/generations", b" " * 2**17, 413),
        ("/arithmetic", b'{"plus": [', 422),
        ("/arithmetic", b'"\xff"', 422),
    ],
)
def test_a_body_that_cannot_be_read_does_not_wait_for_the_garbage_collector(
    small: TestClient, path: str, content: bytes, status: int
) -> None:
    statuses: list[int | None] = []
    body = Body(content)
    freed = weakref.ref(body)

    async def send(message: Message) -> None:
        statuses.append(message.get("status"))

    headers = [(b"host", b"x"), (b"content-type", b"application/json")]
    scope = {"type": "http", "http_version": "1.1", "method": "POST", "path": path}
    assert small.portal
    gc.disable()
    try:
        small.portal.call(small.app, {**scope, "query_string": b"", "headers": headers}, body, send)
        del body
        eventually(lambda: freed() is None)
    finally:
        gc.enable()
    assert statuses[0] == status
