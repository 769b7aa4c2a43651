"""The client and the scheme that trusted proxies report."""

import pytest
from starlette.types import Scope

from app.auth.addresses import TrustedProxies
from app.middleware.proxy_headers import ProxyHeaders


def seen(peer: str, *headers: tuple[bytes, bytes]) -> tuple[tuple[str, int], str]:
    """The client and the scheme that the application sees; 10.0.0.1 is a trusted proxy."""
    scope: Scope = {"client": (peer, 5), "scheme": "http", "headers": list(headers)}
    ProxyHeaders(TrustedProxies("10.0.0.1")).apply(scope)
    return scope["client"], scope["scheme"]


@pytest.mark.parametrize("proxy", ["10.0.0.1", "::ffff:10.0.0.1"])
def test_a_trusted_proxy_reports_the_client_and_its_scheme(proxy: str) -> None:
    headers = (b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", b" https ")
    assert seen(proxy, *headers) == (("192.0.2.7", 0), "https")


def test_an_unknown_scheme_or_client_is_not_believed() -> None:
    headers = (b"x-forwarded-for", b"unknown"), (b"x-forwarded-proto", b"gopher")
    assert seen("10.0.0.1", *headers) == (("10.0.0.1", 5), "http")


def test_any_other_client_is_not_believed() -> None:
    headers = (b"x-forwarded-for", b"192.0.2.7"), (b"x-forwarded-proto", b"https")
    assert seen("10.0.0.2", *headers) == (("10.0.0.2", 5), "http")
