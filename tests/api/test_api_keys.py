"""API keys in the application: which routes need one, and the page's cookie."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.auth.api_keys import KeySet
from app.main import create_app
from app.settings import Settings

KEYS = ("first-of-two-keys", "second-of-two-keys")
ADMIN = "administrators-key"
PUBLIC = {
    "/models",
    "/models/{name}",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/problems",
    "/problems/{kind}",
    "/v1/models",
    "/v1/models/{model}",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/stats",
    "/v2/models/{model}",
    "/v2/models/{model}/config",
    "/v2/models/{model}/ready",
    "/v2/models/{model}/stats",
    "/v2/models/{model}/versions/{version}",
    "/v2/models/{model}/versions/{version}/config",
    "/v2/models/{model}/versions/{version}/ready",
    "/v2/models/{model}/versions/{version}/stats",
    "/v2/repository/index",
}
"""The routes that need no key. Every other route, and every new one, must need one."""
PARAMETERS = {
    "{model}": "fashion-mnist",
    "{name}": "fashion-mnist",
    "{version}": "2",
    "{seed}": "7",
    "{form}": "png",
    "{kind}": "not-found",
}


@pytest.fixture
def client(clothes: Path) -> Iterator[TestClient]:
    """A server with two API keys and an administrator's key."""
    keys, admin_keys = tuple(map(SecretStr, KEYS)), (SecretStr(ADMIN),)
    settings = Settings(models=clothes, provider="cpu", api_keys=keys, admin_keys=admin_keys)
    with TestClient(create_app(settings), base_url="https://testserver") as client:
        yield client


def test_every_route_that_is_not_public_needs_a_key(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["paths"].keys() > PUBLIC
    for path, operations in document["paths"].items():
        url = path
        for name, value in PARAMETERS.items():
            url = url.replace(name, value)
        for method, operation in operations.items():
            response = client.request(method, url)
            assert (response.status_code in {401, 403}) == (path not in PUBLIC), path
            if path in PUBLIC:
                assert "security" not in operation
                continue
            assert str(response.status_code) in operation["responses"]
            assert operation["security"] == [{"bearer": []}, {"header": []}]
            if response.status_code == 401:
                assert response.headers["WWW-Authenticate"] == 'Bearer realm="dcgan"'
                media_type = "json" if path.startswith(("/v1", "/v2")) else "problem+json"
                assert response.headers["Content-Type"] == f"application/{media_type}"
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["header"]["name"] == "X-API-Key"


WRONG_BODY = b'{"wrong'
BODIES = {"content": WRONG_BODY, "headers": {"Content-Type": "application/json"}}


def test_the_key_is_checked_before_the_body_is_read(client: TestClient) -> None:
    """For every operation: FastAPI parses bodies before it resolves dependencies."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        url = path
        for name, value in PARAMETERS.items():
            url = url.replace(name, value)
        for method in operations.keys() - {"get", "head"}:
            if path not in PUBLIC:
                assert client.request(method, url, **BODIES).status_code == 401, path


def test_no_shared_cache_stores_what_needs_a_key(client: TestClient, clothes: Path) -> None:
    paths = (
        "/grid",
        "/grid?rows=0",
        "/interpolate?from=1&to=2&format=ndjson",
        "/variations?seed=1",
    )
    client.post("/access", headers={"X-API-Key": KEYS[0]})
    for path in paths:
        assert client.get(path).headers["Cache-Control"] == "private", path
    assert client.post("/generate?n=1").headers["Cache-Control"] == "private"
    image = client.get("/images/fashion-mnist/2/7.png")
    assert image.headers["Cache-Control"].startswith("private, max-age=")
    assert client.post("/access", headers={"X-API-Key": KEYS[0]}).headers["Cache-Control"] == (
        "no-store"
    )
    assert "Cache-Control" not in client.get("/models").headers
    with TestClient(create_app(Settings(models=clothes, provider="cpu"))) as public:
        assert "Cache-Control" not in public.get("/grid").headers


def test_the_page_and_the_documentation_are_public(client: TestClient) -> None:
    for path in ("/", "/web/main.js", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("key", KEYS)
def test_images_are_generated_with_a_key_in_either_header(client: TestClient, key: str) -> None:
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert client.post("/generate?n=1", headers=headers).status_code == 200
    assert client.post("/generate?n=1").status_code == 401


def test_a_browser_that_has_sent_a_key_gets_a_cookie_for_image_urls(client: TestClient) -> None:
    image = "/images/fashion-mnist/2/7.png"
    assert client.get(image).status_code == 401
    assert client.post("/access").status_code == 401
    wrong = client.post("/access", headers={"X-API-Key": "not-one-of-the-keys"})
    assert (wrong.status_code, "Set-Cookie" in wrong.headers) == (401, False)
    right = client.post("/access", headers={"X-API-Key": KEYS[0]})
    assert right.status_code == 204
    cookie = right.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(cookie.split("; "))
    assert KEYS[0] not in cookie
    assert "expires" not in cookie.lower()
    assert client.get(image).status_code == 200
    # Once a key is revoked, its cookie is refused.
    state = client.app.state  # type: ignore[attr-defined]
    state.services.authenticator.drawing = KeySet([SecretStr(KEYS[1])])
    assert client.get(image).status_code == 401


def test_a_server_without_keys_sets_no_cookie_and_documents_no_keys(clothes: Path) -> None:
    with TestClient(create_app(Settings(models=clothes, provider="cpu"))) as client:
        response = client.post("/access", headers={"X-API-Key": KEYS[0]})
        assert (response.status_code, "Set-Cookie" in response.headers) == (204, False)
        document = client.get("/openapi.json").json()
    generate = document["paths"]["/generate"]["post"]
    assert "security" not in generate
    assert "401" not in generate["responses"]
