"""The request id of every response, and the lines of the access log."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.types import Message

from app.main import create_app
from app.middleware.request_context import context_of
from app.settings import Settings


@pytest.fixture(scope="module")
def app(clothes: Path) -> FastAPI:
    app = create_app(Settings(models=clothes, provider="cpu"))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a fault of ours")

    @app.get("/request-id")
    async def request_id(request: Request) -> str:
        return context_of(request.scope).stats.request_id

    return app


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


REQUESTS = [
    ("GET", "/health/live", 200),
    ("GET", "/", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/metrics", 200),
    ("GET", "/nowhere", 404),
    ("GET", "/generate", 405),
    ("POST", "/generate?n=0", 422),
    ("POST", "/generate?n=1", 200),
    ("GET", "/broken", 500),
]


@pytest.mark.parametrize(("method", "path", "status"), REQUESTS)
def test_every_response_has_a_request_id(
    client: TestClient, method: str, path: str, status: int
) -> None:
    responses = [client.request(method, path) for _ in range(2)]
    assert {response.status_code for response in responses} == {status}
    first, second = (response.headers["X-Request-ID"] for response in responses)
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert first != second
    given = client.request(method, path, headers={"X-Request-ID": "My-1.2_3"})
    assert given.headers.get_list("X-Request-ID") == ["My-1.2_3"]


@pytest.mark.parametrize("unsafe", ["", " ", "a b", "a\tb", "é", "x" * 65, '"', "<script>", "a;b"])
def test_an_unsafe_id_is_replaced(client: TestClient, unsafe: str) -> None:
    response = client.get("/health/live", headers={"X-Request-ID": unsafe.encode()})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["X-Request-ID"])


def test_routes_can_read_the_id(client: TestClient) -> None:
    response = client.get("/request-id", headers={"X-Request-ID": "mine"})
    assert response.json() == "mine"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "app.middleware.access_log"]


def test_a_line_has_the_images_and_times_of_a_request_for_images(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.post("/generate?n=3&seed=1", headers={"X-Request-ID": "mine"})
    (line,) = lines(caplog)
    number = r"\d+\.\d+"
    expected = r'testclient:50000 "POST /generate\?n=3&seed=1" 200 route=/generate '
    expected += rf"seconds={number} images=3 model=fashion-mnist/2 queue={number} "
    expected += rf"compute={number} encode={number} id=mine"
    assert re.fullmatch(expected, line)


def test_a_line_of_a_request_without_images_has_neither(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/nowhere", headers={"X-Request-ID": "mine"})
    (line,) = lines(caplog)
    expected = r'testclient:50000 "GET /nowhere" 404 route=other seconds=\d+\.\d+ id=mine'
    assert re.fullmatch(expected, line)


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/a%0Ab", "/a%0Ab"),
        ("/a%22b?c=%22", "/a%22b?c=%22"),
        ("/a%C3%A9", "/a%C3%A9"),
    ],
)
def test_a_path_cannot_inject_a_line(
    client: TestClient, caplog: pytest.LogCaptureFixture, path: str, logged: str
) -> None:
    with caplog.at_level(logging.INFO):
        client.get(path)
    (line,) = lines(caplog)
    assert f'"GET {logged}" 404' in line


@pytest.mark.parametrize(
    ("query", "logged"),
    [
        ("api_key=abc", "api_key=***"),
        ("n=1&key=a%3Db&seed=2", "n=1&key=***&seed=2"),
        ("X-API-Key=a=b", "X-API-Key=***"),
        ("token=abc&access_token=abc&n=1", "token=***&access_token=***&n=1"),
        ("api%5Fk%65y=abc", "api%5Fk%65y=***"),
        ("seed=key", "seed=key"),
        ("key", "key"),
    ],
)
def test_a_key_in_the_query_is_not_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture, query: str, logged: str
) -> None:
    with caplog.at_level(logging.INFO):
        client.get(f"/nowhere?{query}")
    (line,) = lines(caplog)
    assert f'"GET /nowhere?{logged}" 404' in line


@pytest.mark.parametrize(
    ("forwarded", "logged"),
    [
        ("203.0.113.7:80", "203.0.113.7:80"),
        ("::ffff:203.0.113.7", "203.0.113.7:0"),
        ('evil" 200', "127.0.0.1:1"),
    ],
)
def test_a_proxy_reports_an_ip_address_or_nothing(
    app: FastAPI, caplog: pytest.LogCaptureFixture, forwarded: str, logged: str
) -> None:
    proxy = TestClient(app, client=("::ffff:127.0.0.1", 1))
    with caplog.at_level(logging.INFO):
        proxy.get("/nowhere", headers={"X-Forwarded-For": forwarded})
    assert lines(caplog)[0].startswith(f'{logged} "GET')


@pytest.mark.parametrize(
    ("raw", "logged"), [(b'/a"b', "/a%22b"), (b"/\xff", r"/\xff"), (b"/a\nb", r"/a\nb")]
)
def test_a_path_of_arbitrary_bytes_cannot_inject_a_line(
    app: FastAPI, caplog: pytest.LogCaptureFixture, raw: bytes, logged: str
) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        pass

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "raw_path": raw,
        "query_string": b"",
        "headers": [],
        "client": None,
    }
    with caplog.at_level(logging.INFO):
        asyncio.run(app(scope, receive, send))
    assert f'- "GET {logged}" 404' in lines(caplog)[0]


def test_the_access_log_can_be_disabled(clothes: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = create_app(Settings(models=clothes, provider="cpu", access_log=False))
    with caplog.at_level(logging.INFO), TestClient(app) as client:
        client.post("/generate?n=1")
    assert lines(caplog) == []
