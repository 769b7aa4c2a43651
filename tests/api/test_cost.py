"""What requests cost their client, in the server: pixels, refused requests, long lists."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from app.api.routes.generate import GenerateBody
from app.api.v2 import inference, tensors
from app.auth.rate_limit import BURST
from app.main import create_app
from app.middleware import encoders
from app.settings import Settings
from tests.calls import server_calls_of
from tests.engines import BlockedEngine, occupied
from tests.waiting import PATIENCE, eventually

JSON_TYPE = {"Content-Type": "application/json"}
INFER = "/v2/models/fashion-mnist/infer"
RATE = 0.01
"""Images a second: so few that the time which a test takes does not matter."""


@pytest.fixture
def limited(clothes: Path) -> Iterator[TestClient]:
    """A server on which a client may generate nothing for minutes after one image."""
    settings = Settings(models=clothes, provider="cpu", rate=RATE, cache_bytes=2**20)
    with TestClient(create_app(settings)) as client:
        yield client


def cost(client: TestClient, method: str, path: str, **options: Any) -> float:
    """What a request cost a client that had all of its burst."""
    assert client.request(method, path, **options).is_success
    refused = client.post("/generate?n=1")
    assert refused.status_code == 429
    return RATE * (int(refused.headers["Retry-After"]) + BURST)


@pytest.mark.parametrize(
    ("method", "path", "accept", "images"),
    [
        ("POST", "/generate?n=100", "application/json", 100),
        ("POST", "/generate?n=100", "image/png", 100),
        ("POST", "/generate?n=100&scale=2", "application/zip", (100 + 400) / 2),
        ("GET", "/grid?rows=5&cols=5&scale=3", "*/*", (25 + 225) / 2),
        ("GET", "/interpolate?from=1&to=2&steps=50&scale=2&format=webp", "*/*", (50 + 200) / 2),
        ("GET", "/interpolate?from=1&to=2&steps=50&format=ndjson", "*/*", 50),
        ("GET", "/images/fashion-mnist/2/1.png?scale=8", "*/*", (1 + 64) / 2),
        # 56 places of 8 × 28 pixels with 64 between them
        (
            "GET",
            "/interpolate?from=1&to=2&steps=2&columns=56&scale=8&padding=64",
            "*/*",
            (2 + (56 * (224 + 64) - 64) * 224 / 28**2) / 2,
        ),
    ],
)
def test_a_request_costs_the_pixels_generated_and_encoded(
    limited: TestClient, method: str, path: str, accept: str, images: float
) -> None:
    found = cost(limited, method, path, headers={"Accept": accept})
    assert found == pytest.approx(images, abs=2)


def test_an_image_in_the_cache_costs_nothing(limited: TestClient) -> None:
    for _ in range(50):
        assert limited.get("/images/fashion-mnist/2/1.png").is_success
    wait = int(limited.get("/images/fashion-mnist/2/2.png").headers["Retry-After"])
    assert wait <= 1 / RATE - BURST


BOMB = b'{"inputs": [{"name": "latents", "shape": [1, 64], "datatype": "FP32", "data": [%s]}]}'
REFUSED = {
    "unknown model": ("GET", "/interpolate?from=1&to=2&model=cats", {}),
    "method": ("GET", "/generate", {}),
    "long body": ("POST", "/generate", {"content": b" " * 2**20, "headers": JSON_TYPE}),
    "compressed tensors": (
        "POST",
        INFER,
        {
            "content": gzip.compress(BOMB % b",".join([b"{}"] * 190_000)),
            "headers": {"Content-Encoding": "gzip"},
        },
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_requests_cost_their_client_too(limited: TestClient, name: str) -> None:
    method, path, options = REFUSED[name]
    answers = [limited.request(method, path, **options) for _ in range(5)]
    assert answers[0].status_code in {400, 404, 405, 413, 422}
    assert answers[-1].status_code == 429
    # The 429s cost nothing.
    assert int(answers[-1].headers["Retry-After"]) <= 1 / RATE - BURST
    assert limited.get("/health/live").is_success
    assert limited.get("/models").is_success


def test_refused_images_of_single_seeds_cost_their_client_too(limited: TestClient) -> None:
    assert limited.get("/images/fashion-mnist/2/x.png").status_code == 422
    assert limited.get("/images/fashion-mnist/2/1.png").status_code == 429


def test_a_request_without_room_in_the_queue_costs_no_images(
    clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(models=clothes, provider="cpu", rate=0.01, max_images=16, max_queue=16)
    with TestClient(create_app(settings)) as client:
        with occupied(client, BlockedEngine(client, monkeypatch), 16):
            assert client.post("/generate?n=16").status_code == 503
        wait = int(client.post("/generate").headers["Retry-After"])
    assert wait <= 1 / settings.rate


def bounded(
    client: TestClient, few: Callable[[], httpx.Response], many: Callable[[], httpx.Response]
) -> httpx.Response:
    """The answer to ``many``, for which the server calls no more than twice what ``few`` takes."""
    few()  # whatever is done only once
    usual, _ = server_calls_of(client, few)
    found, answer = server_calls_of(client, many)
    assert found < 2 * usual
    return answer


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@pytest.mark.parametrize("value", ['""', "[]", "{}", "null", "[[]]", "true", "[1]", "1e999"])
def test_many_wrong_values_are_refused_at_once(client: TestClient, value: str, coding: str) -> None:
    def send(count: int) -> httpx.Response:
        body = BOMB % ",".join([value] * count).encode()
        content = gzip.compress(body) if coding == "gzip" else body
        return client.post(INFER, content=content, headers={"Content-Encoding": coding})

    answer = bounded(client, partial(send, 16), partial(send, 500_000 // (len(value) + 1)))
    assert answer.status_code == 422


def members(count: int) -> dict[str, str]:
    return {f"{k:x}": "x" for k in range(count)}


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        (members, [4000, 40_000]),
        (lambda count: {"edit": members(count)}, [4000, 40_000]),
        (lambda count: {"seeds": ["x"] * count}, [256, 100_000]),
        (lambda count: {"latents": [["x"] * count]}, [4096, 100_000]),
        (lambda count: {"latents": [["x"]] * count}, [256, 4000]),
        (lambda count: {"latents": [[]] * count}, [256, 100_000]),
    ],
    ids=["members", "edit", "seeds", "numbers", "latents", "empty latents"],
)
def test_many_wrong_members_are_refused_at_once(
    client: TestClient, body: Callable[[int], Any], counts: list[int]
) -> None:
    def send(count: int) -> httpx.Response:
        return client.post("/generate", content=json.dumps(body(count)), headers=JSON_TYPE)

    for count in counts:  # a list may have the first, and not the second
        answer = bounded(client, partial(send, 16), partial(send, count))
        assert answer.status_code == 422
        assert len(answer.json()["errors"]) <= 16
        with pytest.raises(ValidationError) as refused:
            GenerateBody.model_validate(body(count))
        assert refused.value.error_count() <= 16  # pydantic creates them without any call


def test_as_many_unknown_members_are_named_as_fit(client: TestClient) -> None:
    body = {"seeds": [1], **{f"a{k}": k for k in range(100)}}
    errors = client.post("/generate", json=body).json()["errors"]
    assert [error["parameter"] for error in errors] == [f"a{k}" for k in range(16)]
    query = "&".join(f"a{k}={k}" for k in range(100))
    for method, path in (("POST", "/generate"), ("GET", "/grid")):
        errors = client.request(method, f"{path}?{query}").json()["errors"]
        assert [error["parameter"] for error in errors] == [f"a{k}" for k in range(16)]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/interpolate?seeds=" + "," * 8000, {}),
        ("/grid?corners=" + "," * 8000, {}),
        ("/grid?edit=" + "," * 8000, {}),
        ("/grid?" + "&".join(f"{k:x}=" for k in range(1500)), {}),
        ("/grid?rows=1&cols=1", {"Accept": ", " * 15_000}),
        ("/grid?rows=1&cols=1", {"Accept": "a/b," * 7500}),
        ("/models", {"Accept-Encoding": ", " * 15_000}),
        ("/images/fashion-mnist/2/1.png", {"Accept": '"a",' * 7500}),
    ],
)
def test_long_lists_cost_no_more_than_a_few_short_ones(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    short = path.partition("?")[0]
    client.get(short)  # whatever is done only once
    usual, _ = server_calls_of(client, lambda: client.get(short))
    found, _ = server_calls_of(client, lambda: client.get(path, headers=headers))
    assert found < 10 * usual


def tensors_of(count: int, **others: Any) -> dict[str, Any]:
    data = [0.5] * 64 * count
    return {
        "inputs": [{"name": "latents", "shape": [count, 64], "datatype": "FP32", "data": data}],
        **others,
    }


def test_tensors_are_bounded_by_their_pixels(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "MAX_PIXELS", 4 * 28**2)
    assert client.post(INFER, json=tensors_of(4)).is_success
    refused = client.post(INFER, json=tensors_of(5))
    assert refused.status_code == 422
    assert "must have [n, 64] with n from 1 to 4" in refused.json()["error"]


@pytest.mark.parametrize("binary", [True, False])
def test_large_tensors_are_sent_in_pieces(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, binary: bool
) -> None:
    asked = tensors_of(3, parameters={"binary_data_output": binary})
    whole = client.post(INFER, json=asked)
    monkeypatch.setattr(inference, "LONGEST_WHOLE", 0)
    monkeypatch.setattr(tensors, "PIECE", 1000)
    pieces = client.post(INFER, json=asked)
    assert pieces.content == whole.content
    assert pieces.headers["Content-Length"] == str(len(whole.content))
    assert pieces.headers["Content-Type"] == whole.headers["Content-Type"]


def test_large_sheets_wait_for_each_other(clothes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "LONGEST_WAIT", 300)  # this machine may be busy
    settings = Settings(models=clothes, provider="cpu", threads=4, encode_bytes=1)
    path = "/interpolate?from=1&to=2&steps=2&columns=56&padding=64&scale=8"
    with TestClient(create_app(settings)) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.get(path), range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1


def test_work_that_would_wait_for_too_long_is_refused(
    clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "LONGEST_WAIT", 0)
    settings = Settings(models=clothes, provider="cpu", encode_bytes=1)
    path = "/interpolate?from=1&to=2&steps=2&columns=56&padding=64&scale=8"
    may_end = threading.Event()
    with TestClient(create_app(settings)) as client:
        assert client.portal
        pool = client.app.state.services.encoders  # type: ignore[attr-defined]
        work = partial(may_end.wait, PATIENCE)
        others = [client.portal.start_task_soon(pool.run, work, 50 * 2**20) for _ in range(2)]
        eventually(lambda: pool.waiting)  # one of them runs, and the other waits
        refused = client.get(path)
        may_end.set()
        assert all(other.result(PATIENCE) for other in others)
        assert client.get(path).is_success
    assert refused.status_code == 503
    assert refused.json()["detail"].endswith("50 MiB of images are waiting to be encoded")
    assert int(refused.headers["Retry-After"]) >= 1
