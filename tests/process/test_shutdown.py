"""Graceful shutdown: real processes and signals."""

import ctypes
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from tests.process.faults.server import Server, started
from tests.waiting import PATIENCE, eventually

SLOW = b"POST /generate?n=1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SLOW += b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"


def waiting_for_body(server: Server) -> socket.socket:
    """A connection whose request lacks its body."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    connection.sendall(SLOW)
    assert b" 100 " in connection.recv(1000)
    return connection


def test_during_the_grace_period_it_is_not_ready_but_serves() -> None:
    with started("--grace", "60") as server:
        address = f"http://127.0.0.1:{server.port}"
        with httpx.Client(timeout=PATIENCE) as client:
            assert client.get(f"{address}/health/ready").is_success
            server.process.send_signal(signal.SIGTERM)
            eventually(lambda: client.get(f"{address}/health/ready").is_error)
            for path in ("/health/ready", "/v2/health/ready"):
                refused = client.get(f"{address}{path}")
                assert refused.status_code == 503
                assert "shutting down" in refused.text
                assert refused.headers["Connection"] == "close"
            assert httpx.get(f"{address}/health/live", timeout=PATIENCE).is_success
            assert httpx.post(f"{address}/generate?n=1", timeout=PATIENCE).is_success
        server.process.send_signal(signal.SIGTERM)
        assert server.ends() == 143


def accepts_connections(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=0.2).close()
    except OSError:  # refused, or dropped: otherwise Linux itself connects, at once
        return False
    return True


def test_without_grace_connections_are_refused_while_requests_complete() -> None:
    with started() as server, waiting_for_body(server) as connection:
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: not accepts_connections(server))
        connection.sendall(b"{}")
        answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer
        assert server.ends() == 0


def _unprivileged() -> None:
    # prctl(2), PR_CAPBSET_DROP: drops CAP_NET_ADMIN, as in a container, if privileged.
    ctypes.CDLL(None).prctl(24, 12, 0, 0, 0)


@pytest.mark.parametrize("before", [None, _unprivileged])
def test_connections_that_were_not_accepted_yet_get_responses(
    before: Callable[[], None] | None,
) -> None:
    with started(preexec_fn=before) as server:
        server.process.send_signal(signal.SIGSTOP)
        address = ("127.0.0.1", server.port)
        waiting = [socket.create_connection(address, timeout=PATIENCE) for _ in range(20)]
        for connection in waiting:
            connection.sendall(b"POST /generate?n=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGCONT)
        for connection in waiting:
            with connection:
                assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert server.ends() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_ends_the_server_at_once(workers: str) -> None:
    # Without a second signal, the server would wait for the body as long as --patience says.
    flags = ("--workers", workers, "--patience", "600")
    with started(*flags) as server, waiting_for_body(server):
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: "Waiting for connections to close" in server.output)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.ends(PATIENCE) == (143 if workers == "1" else 0)
        assert "second signal received: exiting at once" in server.output


def test_ctrl_c_has_no_grace_period() -> None:
    with started("--grace", "60") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.ends() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_slow_reader_delays_the_end_by_no_more_than_timeout_and_patience(workers: str) -> None:
    with (
        started("--timeout", "1", "--patience", "1", "--workers", workers) as server,
        socket.socket() as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", server.port))
        large = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(large * 8)  # more than the kernel takes
        server.process.send_signal(signal.SIGTERM)
        until = time.monotonic() + PATIENCE  # reading everything would take four times as long
        while time.monotonic() < until and server.process.poll() is None:
            with suppress(ConnectionResetError):
                connection.recv(2**10)
            time.sleep(0.02)
        assert server.process.poll() == 0
