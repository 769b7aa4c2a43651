"""Who asks, and whether they may."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr, ValidationError
from starlette.requests import HTTPConnection

from app import access
from app.access import Access
from app.errors import AccessError, ForbiddenError
from app.settings import Settings

KEYS = ("first-of-two-keys", "second-of-two-keys")
ADMIN = "administrators-key"


def connection(settings: Settings, host: str = "192.0.2.1", **headers: str) -> HTTPConnection:
    """What a route knows of a request with these headers."""
    app = FastAPI()
    app.state.access = Access(settings)
    pairs = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return HTTPConnection({"type": "http", "app": app, "headers": pairs, "client": (host, 1)})


@pytest.fixture
def settings() -> Settings:
    return Settings(
        api_keys=tuple(map(SecretStr, KEYS)), admin_keys=(SecretStr(ADMIN),), models=Path("x")
    )


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", None])
def test_any_of_the_keys_draws(settings: Settings, key: str, scheme: str | None) -> None:
    told = {"x_api_key": key} if scheme is None else {"authorization": scheme + key}
    asked = connection(settings, **told)
    asked.app.state.access.admit(asked)
    assert access.client(asked).startswith("key:")
    assert key not in access.client(asked)


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="dcgan"'),
        ({"authorization": f"Basic {KEYS[0]}"}, 'Bearer realm="dcgan"'),
        ({"authorization": "Bearer "}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"x_api_key": KEYS[0][:-1]}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"x_api_key": KEYS[0] + "é"}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"x_api_key": ADMIN}, 'Bearer realm="dcgan", error="invalid_token"'),
        ({"cookie": f"{access.COOKIE}={KEYS[0]}"}, 'Bearer realm="dcgan"'),
    ],
)
def test_nothing_else_does(settings: Settings, headers: dict[str, str], challenge: str) -> None:
    asked = connection(settings, **headers)
    with pytest.raises(AccessError) as refused:
        asked.app.state.access.admit(asked)
    assert refused.value.headers == {"WWW-Authenticate": challenge}
    assert not any(key in str(refused.value) for key in KEYS)


def test_without_keys_everybody_draws() -> None:
    asked = connection(Settings())
    asked.app.state.access.admit(asked)


def test_a_browser_s_cookie_stands_for_a_key_without_being_it(settings: Settings) -> None:
    token = access.cookie(KEYS[1].encode())
    asked = connection(settings, cookie=f"a=b; {access.COOKIE}={token}")
    asked.app.state.access.admit(asked)
    assert access.client(asked) == access.client(connection(settings, x_api_key=KEYS[1]))


def test_administration_takes_a_key_of_its_own(settings: Settings) -> None:
    asked = connection(settings, x_api_key=ADMIN)
    asked.app.state.access.admit_administrator(asked)
    cookie = f"{access.COOKIE}={access.cookie(ADMIN.encode())}"
    for headers in ({}, {"x_api_key": KEYS[0]}, {"cookie": cookie}):
        asked = connection(settings, **headers)
        with pytest.raises(AccessError):
            asked.app.state.access.admit_administrator(asked)


def test_administration_is_off_without_its_keys() -> None:
    asked = connection(Settings(), host="127.0.0.1", x_api_key=ADMIN)
    with pytest.raises(ForbiddenError):
        asked.app.state.access.admit_administrator(asked)


def test_clients_are_told_apart_by_key_or_else_by_address(settings: Settings) -> None:
    asked = [connection(settings, x_api_key=key) for key in (*KEYS, KEYS[0])]
    first, second, again = map(access.client, asked)
    assert first == again != second
    unknown = connection(settings, x_api_key="unknown-" + KEYS[0])
    assert access.client(unknown) == "address:192.0.2.1"
    assert access.client(connection(Settings(), x_api_key=KEYS[0])) == "address:192.0.2.1"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("2001:db8::1", "address:2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "address:2001:db8::/64"),
        ("2001:db8:0:1::1", "address:2001:db8:0:1::/64"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("a:proxy's:client", "address:a:proxy's:client"),
    ],
)
def test_a_network_of_ipv6_is_one_client(host: str, told: str) -> None:
    assert access.client(connection(Settings(), host=host)) == told


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        (",".join(KEYS), KEYS),
        (f" {KEYS[0]} ,", KEYS[:1]),
        (f'["{KEYS[0]}", "with,a-comma-in-it"]', (KEYS[0], "with,a-comma-in-it")),
        ("", ()),
    ],
)
def test_keys_are_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, told: str, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", told)
    settings = Settings()
    assert tuple(key.get_secret_value() for key in settings.api_keys) == keys
    assert not any(key in repr(settings) + settings.model_dump_json() for key in keys)


@pytest.mark.parametrize("wrong", ["fifteen-letters", "with a space inside", "sixteen-lettérs-x"])
def test_a_key_that_is_too_weak_is_refused_and_not_told(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("DCGAN_API_KEYS", f"{KEYS[0]},{wrong}")
    with pytest.raises(ValidationError, match="16 ASCII characters or more") as refused:
        Settings()
    assert wrong not in str(refused.value)
    assert KEYS[0] not in str(refused.value)
