"""Requests whose bodies are compressed, on every route that reads one."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

LATENTS = {"name": "latents", "shape": [1, 64], "datatype": "FP32", "data": [0.5] * 64}
BODIES: dict[str, Any] = {
    "/generate": {"seeds": [3, 17]},
    "/arithmetic": {"plus": [[3, 17]]},
    "/v1/images/generations": {"prompt": "", "seed": 3},
    "/v2/repository/index": {"ready": True},
    "/v2/models/fashion-mnist/infer": {"inputs": [LATENTS]},
}
VARYING = {"created"}


def sent(client: TestClient, path: str, body: bytes, coding: str) -> Any:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    return client.post(path, content=body, headers=headers)


def content(answer: Any) -> object:
    if answer.headers["Content-Type"] != "application/json":
        return answer.content
    found = answer.json()
    if isinstance(found, dict):
        return {name: value for name, value in found.items() if name not in VARYING}
    return found


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
def test_a_compressed_body_is_read_like_any_other(
    client: TestClient, path: str, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    plain = client.post(path, json=BODIES[path])
    assert plain.is_success
    compressed = sent(client, path, compress(json.dumps(BODIES[path]).encode()), coding)
    assert compressed.status_code == plain.status_code
    assert content(compressed) == content(plain)


def test_a_body_may_arrive_in_pieces(client: TestClient) -> None:
    path = "/generate"
    compressed = gzip.compress(json.dumps(BODIES[path]).encode())
    pieces = iter([compressed[k : k + 5] for k in range(0, len(compressed), 5)])
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = client.post(path, content=pieces, headers=headers)
    assert [image["seed"] for image in answer.json()["images"]] == [3, 17]


def test_long_latents_may_be_compressed(client: TestClient) -> None:
    body = json.dumps({"latents": [[0.123456789] * 64] * 200}).encode()
    assert len(body) > 2**17
    answer = sent(client, "/generate", gzip.compress(body), "gzip")
    assert len(answer.json()["images"]) == 200


@pytest.mark.parametrize("path", BODIES)
def test_a_body_is_decompressed_no_further_than_its_limit(client: TestClient, path: str) -> None:
    bomb = gzip.compress(b" " * 2**24)
    assert len(bomb) < 2**15
    answer = sent(client, path, bomb, "gzip")
    assert answer.status_code == 413
    assert "the body is longer than " in answer.text


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_any_other_coding_is_415_with_those_that_are_read(
    client: TestClient, path: str, coding: str
) -> None:
    answer = sent(client, path, b"{}", coding)
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "gzip, deflate"
    reason = f"Content-Encoding is '{coding}' but must be one of identity, gzip, deflate"
    assert reason in answer.text


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "body",
    [b"{}", gzip.compress(b"{}", mtime=0)[:-1], gzip.compress(b"{}", mtime=0) + b"x"],
    ids=["plain", "cut off", "continued"],
)
def test_a_damaged_body_is_an_error_of_the_client(
    client: TestClient, path: str, body: bytes
) -> None:
    answer = sent(client, path, body, "gzip")
    assert answer.status_code == (400 if path.startswith("/v1/") else 422)
    assert "the body cannot be decompressed: " in answer.text


def test_a_coding_without_a_body_does_not_matter(client: TestClient) -> None:
    headers = {"Content-Encoding": "br"}
    assert client.post("/generate?n=1", headers=headers).is_success
    assert client.get("/models", headers=headers).is_success
