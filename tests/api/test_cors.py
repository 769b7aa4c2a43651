"""Cross-origin requests: preflights, and the headers that let scripts read responses."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings

FIRST, SECOND = "https://first.example", "http://localhost:3000"
PATHS = ["/models", "/images/fashion-mnist/2/1.png", "/generate", "/nothing"]
EXPOSED = {"X-Seed", "X-Model", "Server-Timing", "ETag", "Retry-After"}


@pytest.fixture(scope="module")
def restricted(clothes: Path) -> Iterator[TestClient]:
    """A server for pages of two origins."""
    settings = Settings(models=clothes, provider="cpu", cors_origins=f"{FIRST}, {SECOND}")
    with TestClient(create_app(settings)) as client:
        yield client


def preflight(client: TestClient, origin: str, method: str = "POST") -> dict[str, str]:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    headers["Access-Control-Request-Headers"] = "content-type, x-api-key"
    response = client.options("/generate", headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    return dict(response.headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"Origin": FIRST}, {"Origin": "null"}])
def test_by_default_every_page_may_read_every_response(
    client: TestClient, path: str, headers: dict[str, str]
) -> None:
    response = client.get(path, headers=headers)
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert set(response.headers["Access-Control-Expose-Headers"].split(", ")) >= EXPOSED
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert "Origin" not in response.headers.get("Vary", "")


def test_a_preflight_allows_the_requested_method_and_headers(client: TestClient) -> None:
    headers = preflight(client, FIRST)
    assert headers["access-control-allow-origin"] == "*"
    assert headers["access-control-allow-headers"] == "content-type, x-api-key"
    assert "POST" in headers["access-control-allow-methods"].split(", ")
    assert int(headers["access-control-max-age"]) > 0


def test_options_that_is_not_a_preflight_is_405(client: TestClient) -> None:
    assert client.options("/models", headers={"Origin": FIRST}).status_code == 405


@pytest.mark.parametrize("path", PATHS)
def test_only_pages_of_the_configured_origins_may_read(restricted: TestClient, path: str) -> None:
    for origin in (FIRST, SECOND):
        response = restricted.get(path, headers={"Origin": origin})
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Expose-Headers" in response.headers
        assert "Origin" in response.headers["Vary"].split(", ")
    others = ({}, {"Origin": f"{FIRST}.org"}, {"Origin": "*"}, {"Origin": "null"})
    for headers in others:
        response = restricted.get(path, headers=headers)
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Origin" in response.headers["Vary"].split(", ")


def test_a_preflight_of_another_origin_is_not_allowed(restricted: TestClient) -> None:
    assert preflight(restricted, SECOND)["access-control-allow-origin"] == SECOND
    assert "access-control-allow-origin" not in preflight(restricted, "https://evil.example")


def test_an_empty_setting_allows_no_origin(clothes: Path) -> None:
    with TestClient(
        create_app(Settings(models=clothes, provider="cpu", cors_origins=""))
    ) as client:
        for headers in ({}, {"Origin": FIRST}, {"Origin": ""}):
            response = client.get("/health/live", headers=headers)
            assert "Access-Control-Allow-Origin" not in response.headers
