"""Compression of responses: long texts with gzip, and nothing else."""

import gzip
import json

import pytest
from fastapi.testclient import TestClient

TEXTS = ["/models", "/", "/web/style.css", "/web/main.js", "/openapi.json"]


def raw(client: TestClient, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """Return a response's headers, and its body before decompression."""
    method = "POST" if path.startswith("/generate") else "GET"
    with client.stream(method, path, headers=headers) as response:
        return dict(response.headers), b"".join(response.iter_raw())


@pytest.mark.parametrize("path", [*TEXTS, "/generate?n=16&seed=0"])
def test_long_texts_are_compressed_if_the_client_accepts_gzip(
    client: TestClient, path: str
) -> None:
    headers, body = raw(client, path, **{"Accept-Encoding": "br, gzip"})
    plain_headers, plain = raw(client, path, **{"Accept-Encoding": "gzip;q=0, br"})
    assert headers["content-encoding"] == "gzip"
    assert int(headers["content-length"]) == len(body) < 0.9 * len(plain)
    assert gzip.decompress(body) == plain
    assert "content-encoding" not in plain_headers
    for one in (headers, plain_headers):
        assert "Accept-Encoding" in one["vary"].split(", ")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/images/faces/1/1.png", "*/*"),
        ("/images/faces/1/1.webp", "*/*"),
        ("/generate?n=64&seed=0", "image/png"),
        ("/generate?n=4&seed=0", "application/zip"),
        ("/interpolate?from=1&to=2&format=ndjson", "*/*"),
        ("/interpolate?from=1&to=2&format=gif", "*/*"),
        ("/health/live", "*/*"),
    ],
)
def test_images_streams_and_short_texts_are_not_compressed(
    client: TestClient, path: str, accept: str
) -> None:
    headers, body = raw(client, path, **{"Accept-Encoding": "gzip", "Accept": accept})
    assert "content-encoding" not in headers
    assert not body.startswith(b"\x1f\x8b")


def test_a_compressed_file_has_a_weak_entity_tag_that_matches_the_strong_one(
    client: TestClient,
) -> None:
    headers, _ = raw(client, "/web/style.css", **{"Accept-Encoding": "gzip"})
    strong = client.get("/web/style.css", headers={"Accept-Encoding": "identity"}).headers["ETag"]
    assert headers["etag"] == f"W/{strong}"
    for etag in (headers["etag"], strong):
        assert client.get("/web/style.css", headers={"If-None-Match": etag}).status_code == 304


def test_a_large_text_is_compressed_on_a_thread(client: TestClient) -> None:
    path = "/generate?n=256&seed=0&scale=2&model=faces"
    headers, body = raw(client, path, **{"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["images"]) == 256


def test_a_long_error_is_compressed(client: TestClient) -> None:
    query = "&".join(f"unknown{k}={'x' * 50}" for k in range(16))
    headers, body = raw(client, f"/grid?{query}", **{"Accept-Encoding": "gzip"})
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["status"] == 422
