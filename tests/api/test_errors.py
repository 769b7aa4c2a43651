"""What clients are told when the server, not the request, is at fault."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api import problems
from app.auth.api_keys import Authenticator
from app.imaging.sheets import Pixels
from app.main import create_app
from app.middleware import access_log
from app.observability.metrics import Metrics
from app.registry.model_version import ModelVersion
from app.registry.registry import Registry
from app.runtime.engine import Engine
from app.settings import Settings


@pytest.fixture
def small(models: Path) -> Iterator[TestClient]:
    """A server of small bounds: 16 images a request, one a batch, 20 in the queue."""
    settings = Settings(models=models, max_images=16, max_batch=1, max_queue=20)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


class HeldUp:
    """Stands before the engine and lets nothing through until told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        compute = Engine.__call__

        def held(engine: Engine, rows: dict[str, np.ndarray]) -> Pixels:
            self.entered.set()
            assert self.open.wait(60)
            return compute(engine, rows)

        monkeypatch.setattr(Engine, "__call__", held)


@pytest.fixture
def held_up(small: TestClient, monkeypatch: pytest.MonkeyPatch) -> HeldUp:
    assert small.get("/health/live").is_success  # loaded and warmed up before
    return HeldUp(monkeypatch)


def test_a_full_queue_is_refused_with_the_time_to_come_back(
    small: TestClient, held_up: HeldUp
) -> None:
    with ThreadPoolExecutor() as threads:
        computed = threads.submit(small.post, "/generate?n=1")
        assert held_up.entered.wait(60)
        two = [threads.submit(small.post, "/generate?n=16") for _ in range(2)]
        done, waiting = wait(two, timeout=60, return_when=FIRST_COMPLETED)
        held_up.open.set()
        assert all(future.result().is_success for future in (computed, *waiting))
    (refused,) = (future.result() for future in done)
    assert refused.status_code == 503
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "16 images are waiting" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert small.post("/generate?n=16").is_success


def test_more_images_than_the_setting_allows_names_it(small: TestClient) -> None:
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
def test_that_counts_the_frames_and_the_neighbours(
    small: TestClient, path: str, errors: dict[str, object]
) -> None:
    problem = small.get(path).json()
    assert {one["parameter"]: one["value"] for one in problem["errors"]} == errors
    assert {one["allowed"] for one in problem["errors"]} == {"at most 16 images in all"}
    # One image less, or one row, is allowed.
    fewer = path.replace("steps=9", "steps=8").replace("steps=7", "steps=6")
    assert small.get(fewer.replace("cols=9", "cols=8")).is_success


def test_that_names_the_body_where_the_number_is_in_it(small: TestClient) -> None:
    problem = small.post("/arithmetic", json={"plus": [[1]], "neighbours": 25}).json()
    assert problem["status"] == 422
    allowed = "at most 16 images in all"
    offence = {"parameter": "neighbours", "in": "body", "value": 25, "allowed": allowed}
    assert problem["errors"] == [offence]
    assert small.post("/arithmetic", json={"plus": [[1]], "neighbours": 9}).is_success


def test_a_failed_batch_is_500_without_a_trace_and_the_next_one_works(
    small: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> Pixels:
        raise RuntimeError("device lost at 0xdeadbeef")

    with monkeypatch.context() as broken:
        broken.setattr(Engine, "__call__", fail)
        answer = small.post("/generate?n=1")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "0xdeadbeef" not in answer.text
    assert "0xdeadbeef" in caplog.text
    assert small.post("/generate?n=1").is_success


def test_a_rule_that_the_document_cannot_express_is_reported_in_pydantics_words() -> None:
    app, settings = FastAPI(), Settings()
    problems.install(app)
    access_log.install(app, settings, Authenticator(settings), Metrics(), None)

    @app.post("/either")
    async def either(body: dict[str, int | bytes]) -> None: ...

    problem = TestClient(app).post("/either", json={"x": []}).json()
    assert problem["status"] == 422
    assert problem["errors"][0]["parameter"].startswith("x")
    assert problem["errors"][0]["allowed"] == "Input should be a valid integer"


def test_a_failure_that_nobody_foresaw_is_a_problem_without_a_trace(
    small: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> ModelVersion:
        raise RuntimeError("secret")

    monkeypatch.setattr(Registry, "find", fail)
    answer = small.post("/generate")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_after_the_shutdown_nothing_is_drawn(models: Path) -> None:
    app = create_app(Settings(models=models))
    with TestClient(app) as client:
        assert client.post("/generate?n=1").is_success
    answer = TestClient(app).post("/generate?n=1")
    assert answer.status_code == 503
    assert "shutting down" in answer.json()["detail"]
