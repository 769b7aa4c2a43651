"""Pages of other origins: what browsers ask before they ask, and what scripts may read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from app.main import create_app
from app.settings import Settings

HERE, THERE = "https://here.example", "http://localhost:3000"
PATHS = ["/models", "/images/faces/1/1.png", "/generate", "/nothing"]
EXPOSED = {"X-Seed", "X-Model", "Server-Timing", "ETag", "Retry-After"}


@pytest.fixture(scope="module")
def narrow(models: Path) -> Iterator[TestClient]:
    """A server for the pages of two origins."""
    settings = Settings(models=models, provider="cpu", cors_origins=f"{HERE}, {THERE}")
    with TestClient(create_app(settings)) as client:
        yield client


def preflight(client: TestClient, origin: str, method: str = "POST") -> dict[str, str]:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    asked["Access-Control-Request-Headers"] = "content-type, x-api-key"
    answer = client.options("/generate", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    return dict(answer.headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"Origin": HERE}, {"Origin": "null"}])
def test_by_default_every_page_may_read_every_answer(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    answer = client.get(path, headers=headers)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert set(answer.headers["Access-Control-Expose-Headers"].split(", ")) >= EXPOSED
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" not in answer.headers.get("Vary", "")


def test_a_preflight_allows_what_the_page_wants_to_send(client: TestClient) -> None:
    answer = preflight(client, HERE)
    assert answer["access-control-allow-origin"] == "*"
    assert answer["access-control-allow-headers"] == "content-type, x-api-key"
    assert "POST" in answer["access-control-allow-methods"].split(", ")
    assert int(answer["access-control-max-age"]) > 0


def test_options_without_a_preflight_is_no_method(client: TestClient) -> None:
    assert client.options("/models", headers={"Origin": HERE}).status_code == 405


@pytest.mark.parametrize("path", PATHS)
def test_a_setting_narrows_it(narrow: TestClient, path: str) -> None:
    for origin in (HERE, THERE):
        answer = narrow.get(path, headers={"Origin": origin})
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Expose-Headers" in answer.headers
        assert "Origin" in answer.headers["Vary"].split(", ")
    others = ({}, {"Origin": "https://here.example.org"}, {"Origin": "*"}, {"Origin": "null"})
    for headers in others:
        answer = narrow.get(path, headers=headers)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer.headers["Vary"].split(", ")


def test_a_preflight_of_another_origin_is_not_allowed(narrow: TestClient) -> None:
    assert preflight(narrow, THERE)["access-control-allow-origin"] == THERE
    assert "access-control-allow-origin" not in preflight(narrow, "https://evil.example")


def test_nothing_allows_nobody(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu", cors_origins=""))) as client:
        for headers in ({}, {"Origin": HERE}, {"Origin": ""}):
            answer = client.get("/health/live", headers=headers)
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "origins", ["here.example", "https://here.example/", "*, https://a", "ftp://a"]
)
def test_what_is_no_origin_is_no_setting(origins: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings(cors_origins=origins)
