from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.requests import HTTPConnection

from app.auth import api_keys
from app.auth.api_keys import Authenticator
from app.errors import ForbiddenError, UnauthorizedError
from app.settings import Settings

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
    assert authenticator.client(request.scope).startswith("key:")
    assert key not in authenticator.client(request.scope)


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
def test_other_keys_are_refused_with_a_challenge(
    settings: Settings, headers: dict[str, str], challenge: str
) -> None:
    with pytest.raises(UnauthorizedError) as refused:
        Authenticator(settings).require_key(connection(**headers))
    assert refused.value.headers == {"WWW-Authenticate": challenge}
    assert not any(key in str(refused.value) for key in KEYS)


def test_without_keys_in_the_settings_no_request_needs_one() -> None:
    request, authenticator = connection(), Authenticator(Settings())
    authenticator.require_key(request)  # raises no UnauthorizedError
    assert authenticator.client(request.scope) == "address:192.0.2.1"


def test_a_cookie_stands_for_its_key(settings: Settings) -> None:
    value = api_keys.cookie(KEYS[1].encode())
    request = connection(cookie=f"a=b; {api_keys.COOKIE}={value}")
    authenticator = Authenticator(settings)
    authenticator.require_key(request)
    same = connection(x_api_key=KEYS[1])
    assert authenticator.client(request.scope) == authenticator.client(same.scope)


def test_administration_needs_an_administrators_key_in_a_header(settings: Settings) -> None:
    authenticator = Authenticator(settings)
    authenticator.require_administrator(connection(x_api_key=ADMIN))
    cookie = f"{api_keys.COOKIE}={api_keys.cookie(ADMIN.encode())}"
    for headers in ({}, {"x_api_key": KEYS[0]}, {"cookie": cookie}):
        with pytest.raises(UnauthorizedError):
            authenticator.require_administrator(connection(**headers))


def test_administration_is_disabled_without_administrators_keys() -> None:
    request = connection(host="127.0.0.1", x_api_key=ADMIN)
    with pytest.raises(ForbiddenError):
        Authenticator(Settings()).require_administrator(request)


def test_clients_are_named_by_key_or_else_by_address(settings: Settings) -> None:
    requests = [connection(x_api_key=key).scope for key in (*KEYS, KEYS[0])]
    first, second, again = map(Authenticator(settings).client, requests)
    assert first == again != second
    unknown = connection(x_api_key="unknown-" + KEYS[0]).scope
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
    assert Authenticator(Settings()).client(connection(host=host).scope) == client
