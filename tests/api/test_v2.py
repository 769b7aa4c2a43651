"""The Open Inference Protocol, version 2, over HTTP."""

import gzip
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app import __version__
from app.artifact import card
from app.latent import sampling
from app.main import create_app
from app.runtime.engine import Engine
from app.runtime.providers import Placement
from app.settings import Settings
from tests.engines import BlockedEngine, occupied, version
from tests.waiting import eventually

INFER = "/v2/models/fashion-mnist/infer"
HEADER = "Inference-Header-Content-Length"


@pytest.fixture
def small(clothes: Path) -> Iterator[TestClient]:
    settings = Settings(models=clothes, provider="cpu", max_images=16, max_queue=16)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def rows(clothes: Path) -> np.ndarray:
    described = card.read(clothes / "fashion-mnist" / "2")
    return sampling.from_seeds([0, 1, 2], described.latent.width, described.latent.prior)


def request(rows: np.ndarray, **others: Any) -> dict[str, Any]:
    data = rows.ravel().tolist()
    tensor = {"name": "latents", "shape": list(rows.shape), "datatype": "FP32", "data": data}
    return {"inputs": [tensor], **others}


def pixels(response: httpx.Response) -> np.ndarray:
    assert response.is_success, response.text
    (output,) = response.json()["outputs"]
    return np.array(output["data"], np.uint8).reshape(output["shape"])


def test_server_metadata_and_health(client: TestClient) -> None:
    metadata = client.get("/v2").json()
    assert (metadata["name"], metadata["version"]) == ("dcgan-server", __version__)
    assert "binary_tensor_data" in metadata["extensions"]
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_model_metadata_describes_the_tensors(client: TestClient, rows: np.ndarray) -> None:
    metadata = client.get("/v2/models/fashion-mnist").json()
    assert "2" in metadata["versions"]
    latent = {"name": "latents", "datatype": "FP32", "shape": [-1, rows.shape[1]]}
    assert metadata["inputs"] == [latent]
    image = {"name": "pixels", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}
    assert metadata["outputs"] == [image]
    assert client.get("/v2/models/fashion-mnist/versions/2").json() == {
        **metadata,
        "versions": ["2"],
    }
    for path in ("/v2/models/fashion-mnist/ready", "/v2/models/fashion-mnist/versions/2/ready"):
        assert client.get(path).json() == {"name": "fashion-mnist", "ready": True}


def test_the_index_lists_versions_in_service(client: TestClient) -> None:
    entry = {"name": "fashion-mnist", "version": "2", "state": "READY", "reason": ""}
    assert entry in client.post("/v2/repository/index").json()
    assert entry in client.post("/v2/repository/index", json={"ready": True}).json()


def test_the_index_has_the_reason_why_a_version_is_out_of_service(tmp_path: Path) -> None:
    (tmp_path / "cats" / "3").mkdir(parents=True)
    with TestClient(create_app(Settings(models=tmp_path))) as client:
        (entry,) = client.post("/v2/repository/index").json()
        assert client.post("/v2/repository/index", json={"ready": True}).json() == []
        ready = client.get("/v2/health/ready")
    assert (entry["name"], entry["version"], entry["state"]) == ("cats", "3", "UNAVAILABLE")
    assert "card.json: cannot be read" in entry["reason"]
    assert ready.status_code == 503
    assert "no model is served" in ready.json()["error"]


def test_pixels_are_those_of_the_engine(
    client: TestClient, rows: np.ndarray, clothes: Path
) -> None:
    described = card.read(clothes / "fashion-mnist" / "2")
    graph = card.load_graph(clothes / "fashion-mnist/2", described.variants[0])
    engine = Engine(described, graph, Placement("cpu"))
    response = client.post(INFER, json=request(rows, id="mine"))
    assert response.json()["id"] == "mine"
    assert response.headers["X-Model"] == "fashion-mnist/2"
    assert "compute;dur=" in response.headers["Server-Timing"]
    expected = engine({"latents": rows})
    assert np.array_equal(pixels(response), expected)
    exact = client.post("/v2/models/fashion-mnist/versions/2/infer", json=request(rows))
    assert np.array_equal(pixels(exact), expected)


def test_a_large_json_response_is_complete(client: TestClient) -> None:
    described = client.get("/v2/models/faces").json()
    many = np.zeros((8, described["inputs"][0]["shape"][1]), np.float32)
    found = pixels(client.post("/v2/models/faces/infer", json=request(many)))
    assert found.shape == (8, 64, 64, 3)
    assert (found == found[0]).all()


@pytest.mark.parametrize("aligned", [True, False])
def test_tensors_may_be_binary_data_in_both_directions(
    client: TestClient, rows: np.ndarray, aligned: bool
) -> None:
    body = request(rows, parameters={"binary_data_output": True})
    tensor = body["inputs"][0]
    del tensor["data"]
    tensor["parameters"] = {"binary_data_size": rows.nbytes}
    head = json.dumps(body).encode()
    head += b" " * (-len(head) % 4 if aligned else 1 - len(head) % 4)
    response = client.post(INFER, content=head + rows.tobytes(), headers={HEADER: str(len(head))})
    assert response.headers["Content-Type"] == "application/octet-stream"
    length = int(response.headers[HEADER])
    (output,) = json.loads(response.content[:length])["outputs"]
    found = np.frombuffer(response.content[length:], np.uint8).reshape(output["shape"])
    assert np.array_equal(found, pixels(client.post(INFER, json=request(rows))))


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_body_may_be_compressed(
    client: TestClient, rows: np.ndarray, encoding: str, compress: Any
) -> None:
    content = json.dumps(request(rows)).encode()
    headers = {"Content-Encoding": encoding}
    response = client.post(INFER, content=compress(content), headers=headers)
    assert np.array_equal(pixels(response), pixels(client.post(INFER, content=content)))


def test_requests_of_several_clients_share_a_batch(
    small: TestClient, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [pixels(small.post(INFER, json=request(row[None]))) for row in rows]
    engine = BlockedEngine(small, monkeypatch)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(small.post, INFER, json=request(rows[:1]))
        assert engine.entered.wait(60)
        others = [threads.submit(small.post, INFER, json=request(row[None])) for row in rows]
        eventually(lambda: version(small).batcher.waiting >= 3)
        engine.release.set()
        found = [pixels(future.result()) for future in (first, *others)]
    assert engine.batches == [1, 3]
    np.testing.assert_array_equal(found[1:], alone)


def test_the_statistics_count_requests_batches_and_images(
    small: TestClient, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(path: str = "/v2/models/fashion-mnist/versions/2/stats") -> dict[str, Any]:
        (found,) = small.get(path).json()["model_stats"]
        return dict(found)

    before = counted()
    counts = ("inference_count", "execution_count", "last_inference")
    assert [before[name] for name in counts] == [0, 0, 0]
    for _ in range(2):
        assert small.post(INFER, json=request(rows)).is_success
    after = counted()
    assert (after["inference_count"], after["execution_count"]) == (6, 2)
    stages = after["inference_stats"]
    assert stages["success"]["count"] == stages["queue"]["count"] == 2
    assert stages["success"]["ns"] >= stages["compute_infer"]["ns"] > 0
    assert after["last_inference"] > 1e12

    engine = BlockedEngine(small, monkeypatch)
    engine.release.set()
    engine.failure = MemoryError()
    failed = small.post(INFER, json=request(rows))
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
        ("GET", "/v2/models/Cats", {}, 422, "model is 'Cats' but must be text of the form"),
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
            415,
            "Content-Encoding is 'br' but must be one of identity, gzip, deflate",
        ),
        ("POST", "/v2/repository/index", {"json": {"ready": 3}}, 422, "ready is 3 but must be"),
        ("POST", "/v2/repository/index", {"content": b" " * 10**5}, 413, "longer than 65536"),
    ],
)
def test_every_error_has_the_format_of_the_protocol(
    client: TestClient, method: str, path: str, options: dict[str, Any], status: int, reason: str
) -> None:
    response = client.request(method, path, **options)
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert reason in body["error"]


def test_a_full_queue_is_503_with_retry_after(
    small: TestClient, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with occupied(small, BlockedEngine(small, monkeypatch), 15):
        refused = small.post(INFER, json=request(rows))
    assert refused.status_code == 503
    assert refused.json() == {"error": "the server is busy: 15 images are waiting"}
    assert int(refused.headers["Retry-After"]) >= 1


def test_errors_of_keys_rates_and_deadlines_have_the_format_of_the_protocol(
    clothes: Path, rows: np.ndarray
) -> None:
    key = "somebodys-drawing-key"
    settings = Settings(models=clothes, provider="cpu", api_keys=(SecretStr(key),), rate=0.01)
    app = create_app(settings)
    with TestClient(app, headers={"X-API-Key": key}) as client:
        responses = [
            client.post(INFER, json=request(rows), headers={"X-API-Key": "another-drawing-key"}),
            client.post(INFER, json=request(rows), headers={"X-Request-Timeout": "0.000001"}),
        ]
        while (response := client.post(INFER, json=request(rows))).is_success:
            pass
    responses.append(response)
    assert [response.status_code for response in responses] == [401, 504, 429]
    assert all(response.json().keys() == {"error"} for response in responses)
    assert "WWW-Authenticate" in responses[0].headers
    assert int(responses[2].headers["Retry-After"]) >= 1


def test_errors_of_other_paths_are_problems(client: TestClient) -> None:
    response = client.get("/v22")
    assert response.headers["Content-Type"] == "application/problem+json"
