import pytest

from app.auth.addresses import TrustedProxies, client_network


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
        ("10.0.0.0/8, nonsense", "10.1.2.3", None),
        ("10.0.0.0/8, nonsense", "11.1.2.3", "11.1.2.3"),
        ("10.0.0.0/8, nonsense", "2001:db8::1", "2001:db8::/64"),
        ("*", "192.0.2.1", None),
        ("", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_connections_of_trusted_proxies_are_not_counted(
    trusted: str, host: str, counted: str | None
) -> None:
    assert TrustedProxies(trusted).counted_client(host) == counted


def test_the_trusted_proxies_are_those_of_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    assert TrustedProxies().counted_client("192.0.2.1") is None
    assert TrustedProxies().counted_client("127.0.0.1") == "127.0.0.1"
