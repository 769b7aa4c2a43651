"""gzip where it helps, and nowhere else."""

import asyncio
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.middleware.compression import SHORTEST, Compression
from app.middleware.encoders import Encoders
from tests.serving import serving

TEXTS = ["/models", "/", "/web/style.css", "/web/main.js", "/openapi.json"]


def raw(client: TestClient, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """An answer's headers, and its body as it was sent."""
    method = "POST" if path.startswith("/generate") else "GET"
    with client.stream(method, path, headers=headers) as answer:
        return dict(answer.headers), b"".join(answer.iter_raw())


@pytest.mark.parametrize("path", [*TEXTS, "/generate?n=16&seed=0"])
def test_texts_are_compressed_for_who_takes_it(client: TestClient, path: str) -> None:
    told, body = raw(client, path, **{"Accept-Encoding": "br, gzip"})
    plain_told, plain = raw(client, path, **{"Accept-Encoding": "gzip;q=0, br"})
    assert told["content-encoding"] == "gzip"
    assert int(told["content-length"]) == len(body) < 0.9 * len(plain)
    assert gzip.decompress(body) == plain
    assert "content-encoding" not in plain_told
    for headers in (told, plain_told):
        assert "Accept-Encoding" in headers["vary"].split(", ")


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
def test_what_does_not_shrink_is_not(client: TestClient, path: str, accept: str) -> None:
    told, body = raw(client, path, **{"Accept-Encoding": "gzip", "Accept": accept})
    assert "content-encoding" not in told
    assert not body.startswith(b"\x1f\x8b")


def test_a_compressed_file_of_the_page_has_a_weak_tag_and_is_known_by_it(
    client: TestClient,
) -> None:
    told, _ = raw(client, "/web/style.css", **{"Accept-Encoding": "gzip"})
    strong = client.get("/web/style.css", headers={"Accept-Encoding": "identity"}).headers["ETag"]
    assert told["etag"] == f"W/{strong}"
    for etag in (told["etag"], strong):
        assert client.get("/web/style.css", headers={"If-None-Match": etag}).status_code == 304


def test_a_large_text_is_compressed_beside_the_event_loop(client: TestClient) -> None:
    path = "/generate?n=256&seed=0&scale=2&model=faces"
    told, body = raw(client, path, **{"Accept-Encoding": "gzip"})
    assert told["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["images"]) == 256


def test_a_refusal_may_be_long_too(client: TestClient) -> None:
    query = "&".join(f"unknown{k}={'x' * 50}" for k in range(16))
    told, body = raw(client, f"/grid?{query}", **{"Accept-Encoding": "gzip"})
    assert told["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["status"] == 422


def sent(*bodies: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> list[Message]:
    """What goes out of an application that answers with ``bodies``, to a client that takes gzip."""
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    out: list[Message] = []

    async def app(_: Scope, __: Receive, send: Send) -> None:
        for message in (start, *({"type": "http.response.body", **body} for body in bodies)):
            await send(message)

    async def keep(message: Message) -> None:
        out.append(message)

    async def nothing() -> Message:
        raise AssertionError

    scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
    asyncio.run(Compression(app, Encoders(1, 2**20))(scope, nothing, keep))
    return out


def test_pieces_go_out_as_they_come() -> None:
    pieces = [{"body": b"x" * SHORTEST, "more_body": True}, {"body": b"y" * SHORTEST}]
    out = sent(*pieces, headers=[(b"content-type", b"application/json")])
    assert [message.get("body") for message in out[1:]] == [piece["body"] for piece in pieces]
    assert b"content-encoding" not in dict(out[0]["headers"])


def test_what_is_encoded_stays_so_and_what_is_short_too() -> None:
    json_type = (b"content-type", b"application/json")
    encoded = sent({"body": b"x" * SHORTEST}, headers=[json_type, (b"content-encoding", b"br")])
    assert encoded[1]["body"] == b"x" * SHORTEST
    short = sent({"body": b"x" * (SHORTEST - 1)}, headers=[json_type])
    assert short[1]["body"] == b"x" * (SHORTEST - 1)
    long = sent({"body": b"x" * SHORTEST}, headers=[json_type])
    assert gzip.decompress(long[1]["body"]) == b"x" * SHORTEST


def test_a_real_client_reads_it(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app", "--provider", "cpu"]
    with serving(command, root, tmp_path / "log") as address, httpx.Client() as client:
        answer = client.get(f"{address}/models")
        assert answer.headers["Content-Encoding"] == "gzip"
        assert {model["name"] for model in answer.json()["models"]} >= {"faces"}
        assert client.head(f"{address}/images/faces/1/5.png").status_code == 200
        assert client.get(f"{address}/images/faces/1/5.png").content.startswith(b"\x89PNG")
        assert "Content-Length" in client.head(f"{address}/images/faces/1/5.png").headers
