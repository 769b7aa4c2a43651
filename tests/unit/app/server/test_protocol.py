import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from app.server.connections import ConnectionLimits, ConnectionTable
from app.server.protocol import CoalescingTransport, HttpConnection

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"image"


class RecordingTransport(asyncio.Transport):
    """Records what each call sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def sent(use: Callable[[CoalescingTransport], None], *, later: bytes = b"") -> list[bytes]:
    """What the inner transport sends for ``use``, and for ``later`` in the loop's next turn."""
    inner = RecordingTransport()

    async def respond() -> None:
        transport = CoalescingTransport(inner, asyncio.get_running_loop())
        use(transport)
        await asyncio.sleep(0)
        if later:
            transport.write(later)

    asyncio.run(respond())
    return inner.sent


def writing(*pieces: bytes) -> Callable[[CoalescingTransport], None]:
    def use(transport: CoalescingTransport) -> None:
        for piece in pieces:
            transport.write(piece)

    return use


def test_the_head_is_sent_together_with_the_body() -> None:
    assert sent(writing(HEAD, BODY)) == [HEAD + BODY]


def test_a_late_body_does_not_delay_the_head() -> None:
    assert sent(writing(HEAD), later=BODY) == [HEAD, BODY]


def test_only_the_head_is_held_back() -> None:
    assert sent(writing(HEAD, BODY, BODY), later=BODY) == [HEAD + BODY, BODY, BODY]


def test_a_long_body_is_not_copied() -> None:
    body = bytes(2**17)
    assert sent(writing(HEAD, body)) == [HEAD, body]


def test_a_response_without_a_body_is_sent() -> None:
    assert sent(writing(HEAD, b"")) == [HEAD]


@pytest.mark.parametrize("data", [[], [HEAD], [HEAD, BODY]])
def test_written_data_is_sent_before_the_transport_closes(data: list[bytes]) -> None:
    def use(transport: CoalescingTransport) -> None:
        writing(*data)(transport)
        assert not transport.is_closing()
        transport.close()
        assert transport.is_closing()

    assert b"".join(sent(use)) == b"".join(data)


Runner = Callable[[Coroutine[Any, Any, None]], None]
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def connected_to(
    app: ASGIApp,
    use: Callable[[socket.socket], Awaitable[None]],
    patience: float = 60,
) -> Coroutine[Any, Any, None]:
    """Serves ``app`` and calls ``use`` with a connection to it, which does not block."""

    async def serve() -> None:
        config = uvicorn.Config(app, lifespan="off", log_config=None, proxy_headers=False)
        config.load()
        limits = ConnectionLimits(
            connections=10, reserve=10, per_client=0, patience=patience, unsent_bytes=2**30
        )
        state = {
            "connections": ConnectionTable(limits, str),
            "shutdown": SimpleNamespace(started=False),
            "error_response": lambda *_: Response(),
        }
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: HttpConnection(config, ServerState(), state), "127.0.0.1", 0
        )
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
            connection.setblocking(False)
            await loop.sock_connect(connection, server.sockets[0].getsockname())
            await use(connection)
        server.close()

    return serve()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine on either event loop."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


def test_the_request_of_a_client_that_has_gone_is_cancelled(run: Runner) -> None:
    events: list[str] = []
    ended = asyncio.Event()

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        while "http.disconnect" not in events:
            events.append((await receive())["type"])
        ended.set()

    async def leave(connection: socket.socket) -> None:
        connection.send(REQUEST)
        await asyncio.sleep(0.1)
        assert events == ["http.request"]
        connection.close()
        await asyncio.wait_for(ended.wait(), 10)

    run(connected_to(app, leave))


def test_a_half_closed_client_may_wait_for_long(run: Runner) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.6)
        await Response("done")(scope, receive, send)

    async def wait(connection: socket.socket) -> None:
        loop, received = asyncio.get_running_loop(), b""
        connection.send(REQUEST)
        connection.shutdown(socket.SHUT_WR)
        while piece := await loop.sock_recv(connection, 1000):
            received += piece
        assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
        assert received.endswith(b"done")

    run(connected_to(app, wait))


@pytest.mark.parametrize(("piece", "whole"), [(2**16, True), (16, False)])
def test_a_client_must_read_at_a_least_rate(run: Runner, piece: int, *, whole: bool) -> None:
    """1 KiB/s, on average over 0.4 s."""
    body = bytes(2**23)  # more than the kernel takes

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(body, headers={"Connection": "close"})(scope, receive, send)

    async def read(connection: socket.socket) -> None:
        loop, received = asyncio.get_running_loop(), 0
        connection.send(REQUEST)
        began, size = time.monotonic(), piece
        with suppress(ConnectionResetError):
            while data := await loop.sock_recv(connection, size):
                received += len(data)
                late = time.monotonic() - began > 2
                await asyncio.sleep(0 if late else 0.02)
                size = 2**20 if late else size
        assert (received > len(body)) == whole

    run(connected_to(app, read, patience=0.4))
