"""The Open Inference Protocol as it is spoken over HTTP."""

import gzip
import json
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from app import __version__
from app.artifact import card
from app.latent import sampling
from app.main import create_app
from app.runtime.engine import Engine
from app.runtime.providers import Placement
from app.settings import Settings
from tests.engines import BlockedEngine, occupied
from tests.waiting import eventually

INFER = "/v2/models/fashion-mnist/infer"
HEADER = "Inference-Header-Content-Length"


@pytest.fixture
def small(models: Path) -> Iterator[TestClient]:
    settings = Settings(models=models, provider="cpu", max_images=16, max_queue=16)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def rows(models: Path) -> np.ndarray:
    described = card.read(models / "fashion-mnist" / "2")
    return sampling.from_seeds([0, 1, 2], described.latent.width, described.latent.prior)


def asking(rows: np.ndarray, **others: Any) -> dict[str, Any]:
    data = rows.ravel().tolist()
    told = {"name": "latents", "shape": list(rows.shape), "datatype": "FP32", "data": data}
    return {"inputs": [told], **others}


def pixels(answer: httpx.Response) -> np.ndarray:
    assert answer.is_success, answer.text
    (output,) = answer.json()["outputs"]
    return np.array(output["data"], np.uint8).reshape(output["shape"])


def test_the_server_tells_of_itself(client: TestClient) -> None:
    told = client.get("/v2").json()
    assert (told["name"], told["version"]) == ("dcgan-server", __version__)
    assert "binary_tensor_data" in told["extensions"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_a_model_tells_its_tensors(client: TestClient, rows: np.ndarray) -> None:
    told = client.get("/v2/models/fashion-mnist").json()
    assert "2" in told["versions"]
    latent = {"name": "latents", "datatype": "FP32", "shape": [-1, rows.shape[1]]}
    assert told["inputs"] == [latent]
    image = {"name": "pixels", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}
    assert told["outputs"] == [image]
    assert client.get("/v2/models/fashion-mnist/versions/2").json() == {**told, "versions": ["2"]}
    for path in ("/v2/models/fashion-mnist/ready", "/v2/models/fashion-mnist/versions/2/ready"):
        assert client.get(path).json() == {"name": "fashion-mnist", "ready": True}


def test_the_index_tells_every_version(client: TestClient) -> None:
    entry = {"name": "fashion-mnist", "version": "2", "state": "READY", "reason": ""}
    assert entry in client.post("/v2/repository/index").json()
    assert entry in client.post("/v2/repository/index", json={"ready": True}).json()


def test_the_index_tells_why_a_version_is_out_of_service(tmp_path: Path) -> None:
    (tmp_path / "cats" / "3").mkdir(parents=True)
    with TestClient(create_app(Settings(models=tmp_path))) as client:
        (entry,) = client.post("/v2/repository/index").json()
        assert client.post("/v2/repository/index", json={"ready": True}).json() == []
        ready = client.get("/v2/health/ready")
    assert (entry["name"], entry["version"], entry["state"]) == ("cats", "3", "UNAVAILABLE")
    assert "card.json: cannot be read" in entry["reason"]
    assert ready.status_code == 503
    assert "no model is served" in ready.json()["error"]


def test_latents_become_the_pixels_that_their_seeds_have(
    client: TestClient, rows: np.ndarray, models: Path
) -> None:
    described = card.read(models / "fashion-mnist" / "2")
    graph = card.load_graph(models / "fashion-mnist/2", described.variants[0])
    engine = Engine(described, graph, Placement("cpu"))
    answer = client.post(INFER, json=asking(rows, id="mine"))
    assert answer.json()["id"] == "mine"
    assert answer.headers["X-Model"] == "fashion-mnist/2"
    assert "compute;dur=" in answer.headers["Server-Timing"]
    wanted = engine({"latents": rows})
    assert np.array_equal(pixels(answer), wanted)
    exact = client.post("/v2/models/fashion-mnist/versions/2/infer", json=asking(rows))
    assert np.array_equal(pixels(exact), wanted)


def test_a_large_answer_in_json_is_whole(client: TestClient) -> None:
    described = client.get("/v2/models/faces").json()
    many = np.zeros((8, described["inputs"][0]["shape"][1]), np.float32)
    drawn = pixels(client.post("/v2/models/faces/infer", json=asking(many)))
    assert drawn.shape == (8, 64, 64, 3)
    assert (drawn == drawn[0]).all()


@pytest.mark.parametrize("aligned", [True, False])
def test_tensors_may_follow_the_json_both_ways(
    client: TestClient, rows: np.ndarray, aligned: bool
) -> None:
    asked = asking(rows, parameters={"binary_data_output": True})
    tensor = asked["inputs"][0]
    del tensor["data"]
    tensor["parameters"] = {"binary_data_size": rows.nbytes}
    head = json.dumps(asked).encode()
    head += b" " * (-len(head) % 4 if aligned else 1 - len(head) % 4)
    answer = client.post(INFER, content=head + rows.tobytes(), headers={HEADER: str(len(head))})
    assert answer.headers["Content-Type"] == "application/octet-stream"
    length = int(answer.headers[HEADER])
    (output,) = json.loads(answer.content[:length])["outputs"]
    drawn = np.frombuffer(answer.content[length:], np.uint8).reshape(output["shape"])
    assert np.array_equal(drawn, pixels(client.post(INFER, json=asking(rows))))


@pytest.mark.parametrize(
    ("encoding", "deflate"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_body_may_be_compressed(
    client: TestClient, rows: np.ndarray, encoding: str, deflate: Any
) -> None:
    content = json.dumps(asking(rows)).encode()
    headers = {"Content-Encoding": encoding}
    answer = client.post(INFER, content=deflate(content), headers=headers)
    assert np.array_equal(pixels(answer), pixels(client.post(INFER, content=content)))


def test_requests_of_several_clients_share_a_batch(
    small: TestClient, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute, entered, release = Engine.__call__, threading.Event(), threading.Event()
    sizes: list[int] = []

    def held(engine: Engine, asked: dict[str, np.ndarray]) -> np.ndarray:
        sizes.append(len(asked["latents"]))
        entered.set()
        assert release.wait(60)
        return compute(engine, asked)

    alone = [pixels(small.post(INFER, json=asking(row[None]))) for row in rows]
    monkeypatch.setattr(Engine, "__call__", held)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(small.post, INFER, json=asking(rows[:1]))
        assert entered.wait(60)
        others = [threads.submit(small.post, INFER, json=asking(row[None])) for row in rows]
        eventually(lambda: small.app.state.services.registry.find().batcher.waiting >= 3)
        release.set()
        drawn = [pixels(future.result()) for future in (first, *others)]
    assert sizes == [1, 3]
    assert all(np.array_equal(one, wanted) for one, wanted in zip(drawn[1:], alone, strict=True))


def test_the_statistics_count_requests_batches_and_images(
    small: TestClient, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(path: str = "/v2/models/fashion-mnist/versions/2/stats") -> dict[str, Any]:
        (found,) = small.get(path).json()["model_stats"]
        return dict(found)

    none = counted()
    assert (none["inference_count"], none["execution_count"], none["last_inference"]) == (0, 0, 0)
    for _ in range(2):
        assert small.post(INFER, json=asking(rows)).is_success
    once = counted()
    assert (once["inference_count"], once["execution_count"]) == (6, 2)
    told = once["inference_stats"]
    assert told["success"]["count"] == told["queue"]["count"] == 2
    assert told["success"]["ns"] >= told["compute_infer"]["ns"] > 0
    assert once["last_inference"] > 1e12

    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Engine, "__call__", broken)
    failed = small.post(INFER, json=asking(rows))
    assert failed.status_code == 500
    assert failed.json()["error"].startswith("these images could not be computed; see fault")
    assert counted()["inference_stats"]["fail"]["count"] == 1
    assert counted() in small.get("/v2/models/fashion-mnist/stats").json()["model_stats"]
    assert counted() in small.get("/v2/models/stats").json()["model_stats"]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "reason"),
    [
        ("GET", "/v2/nothing", {}, 404, "GET /v2/nothing: Not Found"),
        ("GET", "/v2/models/faces%2F", {}, 404, "GET /v2/models/faces/: Not Found"),
        ("GET", INFER, {}, 405, "allowed: POST"),
        ("GET", "/v2/models/cats", {}, 404, "model is 'cats' but must be one of "),
        ("GET", "/v2/models/cats/ready", {}, 404, "model is 'cats'"),
        ("GET", "/v2/models/fashion-mnist/versions/99", {}, 404, "version of fashion-mnist is 99"),
        ("GET", "/v2/models/fashion-mnist/versions/one", {}, 422, "version is 'one' but must be"),
        ("GET", "/v2/models/Cats", {}, 422, "model is 'Cats' but must be text like"),
        ("POST", "/v2/models/cats/infer", {"json": {}}, 404, "model is 'cats'"),
        ("POST", INFER, {"content": b"{"}, 422, "the body: Invalid JSON"),
        ("POST", INFER, {"json": {}}, 422, "inputs: Field required"),
        ("POST", INFER, {"json": {}, "headers": {HEADER: "9"}}, 422, "is 9, but the body has 2"),
        ("POST", INFER, {"json": {}, "headers": {HEADER: "x"}}, 422, f"{HEADER} is 'x' but must"),
        ("POST", INFER, {"content": b" " * 10**6}, 413, "the body is longer than "),
        ("POST", INFER, {"content": iter([b" " * 2**18] * 4)}, 413, "the body is longer than "),
        (
            "POST",
            INFER,
            {"content": gzip.compress(b" " * 10**7), "headers": {"Content-Encoding": "gzip"}},
            413,
            "the body is longer than ",
        ),
        (
            "POST",
            INFER,
            {"content": gzip.compress(b"{}")[:-5], "headers": {"Content-Encoding": "gzip"}},
            422,
            "it is incomplete",
        ),
        (
            "POST",
            INFER,
            {"content": b"{}", "headers": {"Content-Encoding": "gzip"}},
            422,
            "the body cannot be decompressed",
        ),
        (
            "POST",
            INFER,
            {"content": b"{}", "headers": {"Content-Encoding": "br"}},
            422,
            "Content-Encoding is 'br' but must be one of identity, gzip, deflate",
        ),
        ("POST", "/v2/repository/index", {"json": {"ready": 3}}, 422, "ready is 3 but must be"),
        ("POST", "/v2/repository/index", {"content": b" " * 10**5}, 413, "longer than 65536"),
    ],
)
def test_every_failure_has_the_form_of_the_protocol(
    client: TestClient, method: str, path: str, options: dict[str, Any], status: int, reason: str
) -> None:
    answer = client.request(method, path, **options)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json()
    assert told.keys() == {"error"}
    assert reason in told["error"]


def test_a_full_queue_says_when_to_retry(
    small: TestClient, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with occupied(small, BlockedEngine(small, monkeypatch), 15):
        refused = small.post(INFER, json=asking(rows))
    assert refused.status_code == 503
    assert refused.json() == {"error": "the server is busy: 15 images are waiting"}
    assert int(refused.headers["Retry-After"]) >= 1


def test_keys_rates_and_deadlines_are_told_in_the_form_of_the_protocol(
    models: Path, rows: np.ndarray
) -> None:
    key = "somebodys-drawing-key"
    told = {"models": models, "provider": "cpu", "api_keys": (key,), "rate": 0.01}
    app = create_app(Settings.model_validate(told))
    with TestClient(app, headers={"X-API-Key": key}) as client:
        answers = [
            client.post(INFER, json=asking(rows), headers={"X-API-Key": "another-drawing-key"}),
            client.post(INFER, json=asking(rows), headers={"X-Request-Timeout": "0.000001"}),
        ]
        while (answer := client.post(INFER, json=asking(rows))).is_success:
            pass
    answers.append(answer)
    assert [answer.status_code for answer in answers] == [401, 504, 429]
    assert all(answer.json().keys() == {"error"} for answer in answers)
    assert "WWW-Authenticate" in answers[0].headers
    assert int(answers[2].headers["Retry-After"]) >= 1


def test_other_errors_stay_problems(client: TestClient) -> None:
    answer = client.get("/v22")
    assert answer.headers["Content-Type"] == "application/problem+json"
