"""API keys: who may generate images and administer the server."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError
from starlette.requests import HTTPConnection

from app.auth import api_keys
from app.auth.api_keys import Authenticator
from app.errors import ForbiddenError, UnauthorizedError
from app.main import create_app
from app.settings import Settings
from tests.serving import serving
from tests.waiting import eventually

KEYS = ("first-of-two-keys", "second-of-two-keys")
ADMIN = "administrators-key"


def connection(host: str = "192.0.2.1", **headers: str) -> HTTPConnection:
    """A request with these headers."""
    pairs = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return HTTPConnection({"type": "http", "headers": pairs, "client": (host, 1)})


@pytest.fixture
def settings() -> Settings:
    return Settings(
        api_keys=tuple(map(SecretStr, KEYS)), admin_keys=(SecretStr(ADMIN),), models=Path("x")
    )


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", None])
def test_any_of_the_keys_is_accepted(settings: Settings, key: str, scheme: str | None) -> None:
    headers = {"x_api_key": key} if scheme is None else {"authorization": scheme + key}
    request, authenticator = connection(**headers), Authenticator(settings)
    authenticator.require_key(request)
    assert authenticator.client(request).startswith("key:")
    assert key not in authenticator.client(request)


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="dcgan"'),
        ({"authorization": f"Basic {KEYS[0]}"}, 'Bearer realm="dcgan"'),
        ({"authorization": "Bearer "}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"x_api_key": KEYS[0][:-1]}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"x_api_key": KEYS[0] + "é"}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"x_api_key": ADMIN}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"cookie": f"{api_keys.COOKIE}={KEYS[0]}"}, 'Bearer realm="dcgan"'),
    ],
)
def test_nothing_else_is_accepted(
    settings: Settings, headers: dict[str, str], challenge: str
) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        Authenticator(settings).require_key(connection(**headers))
    assert refused.value.headers == {"WWW-Authenticate": challenge}
    assert not any(key in str(refused.value) for key in KEYS)


def test_without_keys_no_request_needs_one() -> None:
    Authenticator(Settings()).require_key(connection())


def test_a_browser_s_cookie_stands_for_a_key_without_being_it(settings: Settings) -> None:
    token = api_keys.cookie(KEYS[1].encode())
    request = connection(cookie=f"a=b; {api_keys.COOKIE}={token}")
    authenticator = Authenticator(settings)
    authenticator.require_key(request)
    same = connection(x_api_key=KEYS[1])
    assert authenticator.client(request) == authenticator.client(same)


def test_administration_needs_a_key_of_its_own(settings: Settings) -> None:
    authenticator = Authenticator(settings)
    authenticator.require_administrator(connection(x_api_key=ADMIN))
    cookie = f"{api_keys.COOKIE}={api_keys.cookie(ADMIN.encode())}"
    for headers in ({}, {"x_api_key": KEYS[0]}, {"cookie": cookie}):
        with pytest.raises(UnauthorizedError):
            authenticator.require_administrator(connection(**headers))


def test_administration_is_disabled_without_its_keys() -> None:
    request = connection(host="127.0.0.1", x_api_key=ADMIN)
    with pytest.raises(ForbiddenError):
        Authenticator(Settings()).require_administrator(request)


def test_clients_are_named_by_key_or_else_by_address(settings: Settings) -> None:
    requests = [connection(x_api_key=key) for key in (*KEYS, KEYS[0])]
    first, second, again = map(Authenticator(settings).client, requests)
    assert first == again != second
    unknown = connection(x_api_key="unknown-" + KEYS[0])
    assert Authenticator(settings).client(unknown) == "address:192.0.2.1"
    assert Authenticator(Settings()).client(requests[0]) == "address:192.0.2.1"


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("2001:db8::1", "address:2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "address:2001:db8::/64"),
        ("2001:db8:0:1::1", "address:2001:db8:0:1::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("a:proxy's:client", "address:a:proxy's:client"),
    ],
)
def test_an_ipv6_network_is_one_client(host: str, client: str) -> None:
    assert Authenticator(Settings()).client(connection(host=host)) == client


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        (",".join(KEYS), KEYS),
        (f" {KEYS[0]} ,", KEYS[:1]),
        (f'["{KEYS[0]}", "with,a-comma-in-it"]', (KEYS[0], "with,a-comma-in-it")),
        ("[]", ()),
    ],
)
def test_keys_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, told: str, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", told)
    settings = Settings()
    assert tuple(key.get_secret_value() for key in settings.api_keys) == keys
    assert not any(key in repr(settings) + settings.model_dump_json() for key in keys)


@pytest.mark.parametrize("empty", ["", " ", ","])
def test_a_secret_that_was_not_found_does_not_open_the_server(
    monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", empty)
    with pytest.raises(ValidationError, match="contains no key"):
        Settings()


@pytest.mark.parametrize("wrong", ["fifteen-letters", "with a space inside", "sixteen-lettérs-x"])
def test_a_key_that_is_too_weak_is_refused_and_not_told(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", f"{KEYS[0]},{wrong}")
    with pytest.raises(ValidationError, match="16 ASCII characters or more") as refused:
        Settings()
    assert wrong not in str(refused.value)
    assert KEYS[0] not in str(refused.value)


OPEN = {
    "/models",
    "/models/{name}",
    "/health/live",
    "/health/ready",
    "/metrics",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/stats",
    "/v2/models/{model}",
    "/v2/models/{model}/ready",
    "/v2/models/{model}/stats",
    "/v2/models/{model}/versions/{version}",
    "/v2/models/{model}/versions/{version}/ready",
    "/v2/models/{model}/versions/{version}/stats",
    "/v2/repository/index",
}
"""What takes no key. Whatever is new and not in it does."""
FILLED = {
    "{model}": "fashion-mnist",
    "{name}": "fashion-mnist",
    "{version}": "2",
    "{seed}": "7",
    "{form}": "png",
}


@pytest.fixture
def client(settings: Settings, models: Path) -> Iterator[TestClient]:
    """A server that takes keys."""
    app = create_app(settings.model_copy(update={"models": models, "provider": "cpu"}))
    with TestClient(app, base_url="https://testserver") as client:
        yield client


def test_every_route_but_those_that_are_open_takes_a_key(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["paths"].keys() > OPEN
    for path, operations in document["paths"].items():
        url = path
        for name, value in FILLED.items():
            url = url.replace(name, value)
        for method, operation in operations.items():
            answer = client.request(method, url)
            assert (answer.status_code in {401, 403}) == (path not in OPEN), path
            if path in OPEN:
                assert "security" not in operation
                continue
            assert str(answer.status_code) in operation["responses"]
            assert operation["security"] == [{"bearer": []}, {"header": []}]
            if answer.status_code == 401:
                assert answer.headers["WWW-Authenticate"] == 'Bearer realm="dcgan"'
                form = "json" if path.startswith("/v2") else "problem+json"
                assert answer.headers["Content-Type"] == f"application/{form}"
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert schemes["header"]["name"] == "X-API-Key"


def test_the_page_and_the_documentation_are_open(client: TestClient) -> None:
    for path in ("/", "/web/main.js", "/docs", "/openapi.json"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("key", KEYS)
def test_a_key_draws(client: TestClient, key: str) -> None:
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert client.post("/generate?n=1", headers=headers).status_code == 200
    assert client.post("/generate?n=1").status_code == 401


def test_a_browser_is_known_by_a_cookie_once_it_has_sent_a_key(client: TestClient) -> None:
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
    remaining = Authenticator(Settings(api_keys=(SecretStr(KEYS[1]),)))
    state.services = replace(state.services, authenticator=remaining)
    assert client.get(image).status_code == 401


def test_without_keys_there_is_no_cookie(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu"))) as client:
        answer = client.post("/access", headers={"X-API-Key": KEYS[0]})
        assert (answer.status_code, "Set-Cookie" in answer.headers) == (204, False)
        document = client.get("/openapi.json").json()
    drawing = document["paths"]["/generate"]["post"]
    assert "security" not in drawing
    assert "401" not in drawing["responses"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_key_is_ever_disclosed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Neither log, metrics nor responses of a real server contain a key."""
    monkeypatch.setenv("DCGAN_API_KEYS", ",".join(KEYS))
    monkeypatch.setenv("DCGAN_ADMIN_KEYS", ADMIN)
    out, log = tmp_path / "out", tmp_path / "log"
    server = [sys.executable, "-m", "app", "--log-format", form, "--workers", "2"]
    command = ["sh", "-c", f'exec "$@" > {out}', "sh", *server]
    told = []
    transport = httpx.HTTPTransport(retries=3)
    with serving(command, root, log) as address, httpx.Client(transport=transport) as asked:
        # By one of the workers.
        eventually(lambda: "Application startup complete" in log.read_text())
        for key in (*KEYS, ADMIN, "wrong-" + KEYS[0]):
            for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
                for path in ("/generate?n=1", "/generate?n=0", "/access", "/v2/repository/index"):
                    answer = asked.post(address + path, headers=headers)
                    told += [answer.text, str(answer.headers)]
        told.append(asked.get(f"{address}/metrics").text)
        told.append(asked.get(f"{address}/openapi.json").text)
    told += [out.read_text(), log.read_text()]
    assert told[-2].count("/generate") >= 16
    for secret in (*KEYS, ADMIN):
        assert not [text for text in told if secret in text]
