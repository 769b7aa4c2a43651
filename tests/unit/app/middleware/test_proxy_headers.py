"""The client, the scheme, the host and the prefix that trusted proxies report."""

import pytest
from starlette.types import Scope

from app.auth.addresses import TrustedProxies
from app.middleware.proxy_headers import ProxyHeaders


def seen(peer: str, *headers: tuple[bytes, bytes]) -> tuple[tuple[str, int], str]:
    """The client and the scheme that the application sees; 10.0.0.1 is a trusted proxy."""
    scope = applied(peer, *headers)
    return scope["client"], scope["scheme"]


def applied(
    peer: str, *headers: tuple[bytes, bytes], path: str = "/", root_path: str = "", own: str = ""
) -> Scope:
    """The scope of a request; ``root_path`` is the setting, ``own`` that of the web server."""
    scope: Scope = {"client": (peer, 5), "scheme": "http", "headers": list(headers)}
    scope |= {"path": path, "root_path": own}
    ProxyHeaders(TrustedProxies("10.0.0.1"), root_path).apply(scope)
    return scope


def paths(scope: Scope) -> tuple[str, str]:
    return scope["root_path"], scope["path"]


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


@pytest.mark.parametrize(
    ("reported", "host"),
    [
        (b"art.example", b"art.example"),
        (b" art.example:8443 ", b"art.example:8443"),
        (b"[2001:db8::1]:80", b"[2001:db8::1]:80"),
        (b"evil.example, art.example", b"art.example"),
        (b"art.example/path", b"own:8000"),
        (b"user@art.example", b"own:8000"),
        (b"art.example\xe4", b"own:8000"),
        (b"", b"own:8000"),
    ],
)
def test_the_host_of_a_trusted_proxy_is_believed_if_it_is_one(reported: bytes, host: bytes) -> None:
    headers = (b"host", b"own:8000"), (b"x-forwarded-host", reported)
    for peer, expected in (("10.0.0.1", host), ("10.0.0.2", b"own:8000")):
        found = [value for name, value in applied(peer, *headers)["headers"] if name == b"host"]
        assert found == [expected]


@pytest.mark.parametrize("path", ["/grid", "/a/b/grid"])
def test_a_proxy_may_remove_the_root_path_or_not(path: str) -> None:
    assert paths(applied("10.0.0.2", path=path, root_path="/a/b")) == ("/a/b", "/grid")
    assert paths(applied("10.0.0.2", path=path, own="/a/b")) == ("/a/b", "/grid")


def test_only_whole_names_are_removed() -> None:
    assert paths(applied("10.0.0.2", path="/a/bc", root_path="/a/b")) == ("/a/b", "/a/bc")
    assert paths(applied("10.0.0.2", path="/a/b", root_path="/a/b")) == ("/a/b", "")
    assert paths(applied("10.0.0.2", path="/a/b/", root_path="/a/b")) == ("/a/b", "/")


@pytest.mark.parametrize(
    ("headers", "prefix"),
    [
        ([b"/a"], "/a"),
        ([b" /a/b/ "], "/a/b"),
        ([b"/a", b"/b"], "/a/b"),
        ([b"/a, /b/"], "/a/b"),
        ([b"/"], "/own"),
        ([b""], "/own"),
        ([b"a"], "/own"),
        ([b"//a.example"], "/own"),
        ([b"/a", b"//a.example"], "/own"),
        ([b"/a/../b"], "/own"),
        ([b"/a/."], "/own"),
        ([b'/a"><script>'], "/own"),
        ([b"https://a.example/b"], "/own"),
        ([b"/\xe4"], "/own"),
    ],
)
def test_the_prefix_of_a_trusted_proxy_is_believed_if_it_is_a_path(
    headers: list[bytes], prefix: str
) -> None:
    given = [(b"x-forwarded-prefix", value) for value in headers]
    assert paths(applied("10.0.0.1", *given, path="/grid", root_path="/own")) == (prefix, "/grid")
    assert paths(applied("10.0.0.2", *given, path="/grid", root_path="/own")) == ("/own", "/grid")
