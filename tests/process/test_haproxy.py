"""HAProxy's limits on connections, by its real configuration in front of a real server."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.bench.serving import free_port
from tests.process.faults.server import Server, started
from tests.waiting import PATIENCE, eventually

LIVE = b"GET /health/live HTTP/1.0\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with started() as server:
        yield server


@pytest.fixture
def balancer(
    server: Server, root: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[int]:
    """The port of HAProxy, whose time for a request head is the parameter, in seconds."""
    if not shutil.which("haproxy"):
        pytest.skip("haproxy is not installed")
    port = free_port()
    file = tmp_path / "haproxy.cfg"
    shipped = (root / "app/deploy/haproxy.cfg").read_text()
    file.write_text(configuration(shipped, port, server, seconds=request.param))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-db", "-f", file], stdout=log, stderr=log)
    try:
        eventually(lambda: b" 200 " in answer(port, LIVE))
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def configuration(text: str, port: int, server: Server, *, seconds: int) -> str:
    """The configuration for one server on this machine instead of Docker's."""
    text = text.replace("bind :8080", f"bind 127.0.0.1:{port}")
    limit = f"timeout http-request {seconds}s"
    text = text.replace("timeout http-request 5s", limit)
    assert limit in text
    return re.sub(r"server-template .*", f"server app 127.0.0.1:{server.port}", text)


def answer(port: int, sent: bytes, source: str = "127.0.0.1") -> bytes:
    """All that comes back; nothing if the connection is refused or reset."""
    with suppress(ConnectionError):
        address = ("127.0.0.1", port)
        with socket.create_connection(address, PATIENCE, source_address=(source, 0)) as connection:
            connection.sendall(sent)
            return b"".join(iter(lambda: connection.recv(2**16), b""))
    return b""


@pytest.mark.parametrize("balancer", [300], indirect=True)  # none of them ends early
def test_connections_of_one_address_are_limited(balancer: int) -> None:
    with ExitStack() as others:
        for _ in range(510):
            with suppress(ConnectionError):
                others.enter_context(
                    socket.create_connection(("127.0.0.1", balancer), PATIENCE, ("127.0.0.2", 0))
                )
        # One of its threads may not have counted all of them yet.
        eventually(lambda: answer(balancer, LIVE, "127.0.0.2") == b"")
        assert b" 200 " in answer(balancer, LIVE, "127.0.0.3")
    eventually(lambda: b" 200 " in answer(balancer, LIVE, "127.0.0.2"))


@pytest.mark.parametrize("balancer", [1], indirect=True)
@pytest.mark.parametrize(("sent", "received"), [(b"", b""), (b"GET /", b"HTTP/1.1 408 ")])
def test_a_connection_without_a_request_is_closed(
    balancer: int, sent: bytes, received: bytes
) -> None:
    assert answer(balancer, sent)[:13] == received
