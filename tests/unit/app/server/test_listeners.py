"""The sockets of a server: every address of a host, or a Unix socket, or an error in words."""

import errno
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import StartupError
from app.server import listeners
from app.settings import Settings


def refusal(**settings: Any) -> str:
    with pytest.raises(StartupError) as refused, listeners.bound(Settings(**settings)):
        pass
    return str(refused.value)


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes every name stand for these IPv4 addresses."""

    def to(*addresses: str) -> None:
        kind = socket.AF_INET, socket.SOCK_STREAM, 6, ""
        found = [(*kind, (one, 0)) for one in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    return to


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes every address fail with an error number."""

    def by(number: int) -> None:
        class Refusing(socket.socket):
            def bind(self, _: Any) -> None:
                raise OSError(number, "the system's words")

        monkeypatch.setattr(socket, "socket", Refusing)

    return by


def test_a_bound_port_refuses_connections_until_the_server_listens() -> None:
    settings = Settings(port=0)
    with listeners.bound(settings) as (listener,):
        place = listener.getsockname()
        assert listeners.address(settings, [listener]) == f"http://127.0.0.1:{place[1]}"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(place)
        listener.listen()
        socket.create_connection(place).close()
    assert listener.fileno() == -1


def test_all_addresses_of_a_name_have_the_same_port(resolve: Callable[..., None]) -> None:
    resolve("127.0.0.1", "127.0.0.2", "127.0.0.1")
    with listeners.bound(Settings(host="both.example", port=0)) as sockets:
        hosts, ports = zip(*(one.getsockname() for one in sockets), strict=True)
    assert hosts == ("127.0.0.1", "127.0.0.2")
    assert len(set(ports)) == 1


def test_addresses_of_other_machines_are_left_out(resolve: Callable[..., None]) -> None:
    resolve("192.0.2.1", "127.0.0.1")
    with listeners.bound(Settings(host="some.example", port=0)) as (listener,):
        assert listener.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_ipv6_may_have_the_brackets_of_a_url() -> None:
    settings = Settings(host="[::1]", port=0)
    with listeners.bound(settings) as (listener,):
        assert listener.getsockname()[0] == "::1"
        assert listeners.address(settings, [listener]).startswith("http://[::1]:")


def test_an_unknown_host_is_named() -> None:
    assert refusal(host="no-such-name.invalid").startswith(
        "host is 'no-such-name.invalid' but must be an address of this machine, or a name for one"
    )


def test_an_address_of_another_machine_is_named() -> None:
    assert refusal(host="192.0.2.1") == (
        "host is '192.0.2.1' but this machine has no such address; "
        "0.0.0.0 stands for all that it has"
    )


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refusal(port=port) == (
            f"port is {port} but another process listens there, at 127.0.0.1; "
            "choose another port, or 0 for any free one"
        )


@pytest.mark.parametrize(
    ("number", "host", "words"),
    [
        (errno.EACCES, "127.0.0.1", "port is 80 but this user may not use it; all users may use"),
        (errno.EINVAL, "fe80::1", "host is 'fe80::1' but must name the interface, too"),
        (errno.ENOBUFS, "127.0.0.1", "host is '127.0.0.1' and port 80, which cannot be used: the"),
    ],
)
def test_what_else_the_system_refuses_is_named(
    refuse: Callable[[int], None], number: int, host: str, words: str
) -> None:
    refuse(number)
    assert refusal(host=host, port=80).startswith(words)


def test_a_unix_socket_is_open_to_everybody_who_reaches_it_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    settings = Settings(uds=path)
    with listeners.bound(settings) as (listener,):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert listeners.address(settings, [listener]) == f"unix socket {path}"
        assert "uds is" in str(listeners.in_use(settings))
    assert not path.exists()


def test_the_file_of_a_server_that_has_gone_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    with listeners.bound(Settings(uds=path)) as (listener,):
        listener.listen()
        assert refusal(uds=path) == f"uds is {str(path)!r} but another process listens there"


def test_the_file_of_a_later_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listeners.bound(Settings(uds=path)):
        path.unlink()
        path.touch()
    assert path.exists()
    path.unlink()
    with listeners.bound(Settings(uds=path)):
        path.unlink()


def test_no_other_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("words")
    assert "there is another file; choose a path that does not exist" in refusal(uds=path)
    assert path.read_text() == "words"


def test_a_path_at_which_no_socket_can_be_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "s"
    assert refusal(uds=missing).startswith(f"uds is {str(missing)!r} but no socket can be made")
    assert refusal(uds=tmp_path / ("x" * 108)).endswith("but must have at most 107 bytes")
