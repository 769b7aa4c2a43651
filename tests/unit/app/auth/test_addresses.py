"""Addresses: what counts as one client, and which clients trusted proxies report."""

import pytest

from app.auth.addresses import TrustedProxies, client_network, unmapped
from app.errors import StartupError

PROXY = "192.0.2.1"


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::ffff:c000:201", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a name", "a name"),
        ("", ""),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(host: str, counted: str) -> None:
    assert client_network(host) == counted


@pytest.mark.parametrize(
    ("trusted", "host", "counted"),
    [
        ("127.0.0.1,::1", "127.0.0.1", None),
        ("127.0.0.1,::1", "::1", None),
        ("127.0.0.1,::1", "::ffff:127.0.0.1", None),
        ("127.0.0.1,::1", "127.0.0.2", "127.0.0.2"),
        ("10.0.0.0/8, ", "10.1.2.3", None),
        ("10.0.0.0/8, ", "11.1.2.3", "11.1.2.3"),
        ("10.0.0.0/8, ", "2001:db8::1", "2001:db8::/64"),
        ("10.1.2.3/8", "10.4.5.6", None),
        ("*", "192.0.2.1", None),
        ("", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_connections_of_trusted_proxies_are_not_counted(
    trusted: str, host: str, counted: str | None
) -> None:
    assert TrustedProxies(trusted).counted_client(host) == counted


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.0/33", "10.0.0", "*", "10.0.0.1:80"])
def test_what_would_never_match_is_refused(wrong: str) -> None:
    with pytest.raises(StartupError, match=r"FORWARDED_ALLOW_IPS must be addresses") as refused:
        TrustedProxies(f"127.0.0.1, {wrong}")
    assert str(refused.value).endswith(f"{wrong!r} is neither")


def test_the_trusted_proxies_are_in_uvicorns_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    assert TrustedProxies().counted_client("192.0.2.1") is None
    assert TrustedProxies().counted_client("127.0.0.1") == "127.0.0.1"


def test_an_ipv4_address_that_is_mapped_into_ipv6_is_the_ipv4_address() -> None:
    assert unmapped("::ffff:203.0.113.7") == client_network("::ffff:203.0.113.7") == "203.0.113.7"
    assert [unmapped(host) for host in ("2001:db8::1", "a socket")] == ["2001:db8::1", "a socket"]


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["203.0.113.7"], ("203.0.113.7", 0)),
        (["203.0.113.7:4711"], ("203.0.113.7", 4711)),
        (["2001:db8::1"], ("2001:db8::1", 0)),
        (["[2001:db8::1]"], ("2001:db8::1", 0)),
        (["[2001:db8::1]:4711"], ("2001:db8::1", 4711)),
        (["::ffff:203.0.113.7"], ("203.0.113.7", 0)),
        # What the client itself may have sent comes first.
        (["9.9.9.9, 203.0.113.7"], ("203.0.113.7", 0)),
        (["9.9.9.9", "203.0.113.7"], ("203.0.113.7", 0)),
        ([f"9.9.9.9, 203.0.113.7, {PROXY}"], ("203.0.113.7", 0)),
        (["nonsense, 203.0.113.7"], ("203.0.113.7", 0)),
        # Without the address of a client, that of the last known proxy counts, or none.
        ([f"9.9.9.9, unknown, {PROXY}"], (PROXY, 0)),
        (["unknown"], None),
        (["9.9.9.9, "], None),
        ([""], None),
        (['x" 200 "'], None),
        (["203.0.113.7\x7f"], None),
        (['fe80::1%" GET /'], None),
        (["203.0.113.7:99999"], ("203.0.113.7", 0)),
        (["203.0.113.777"], None),
        (["203.0.113.7:1:2"], None),
        (["1." * 20_000], None),
    ],
)
def test_only_the_ip_address_that_a_proxy_has_added_is_accepted(
    values: list[str], client: tuple[str, int] | None
) -> None:
    proxies = TrustedProxies(PROXY)
    assert proxies.forwarded_client([value.encode("latin-1") for value in values]) == client


def test_a_proxy_may_be_a_network_or_mapped_or_anything() -> None:
    proxies = TrustedProxies("192.0.2.0/24, 2001:db8::/32")
    trusted = ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::7")
    assert all(proxies.trusts(host) for host in trusted)
    assert not any(proxies.trusts(host) for host in ("192.0.3.1", "no address", ""))
    every = TrustedProxies("*")
    assert every.trusts("203.0.113.7")
    assert every.forwarded_client([b"9.9.9.9, 203.0.113.7"]) == ("9.9.9.9", 0)
