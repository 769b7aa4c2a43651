import asyncio
import gc
import re
import socket
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from app.server import protocol as protocol_module
from app.server.protocol import HttpConnection
from app.settings import UNIX_CLIENT
from tests.http_connections import REQUEST, connections_to
from tests.waiting import PATIENCE

Runner = Callable[[Coroutine[Any, Any, None]], None]


def connected_to(
    app: ASGIApp,
    use: Callable[[socket.socket], Awaitable[None]],
    patience: float = 60,
    path: Path | None = None,
    state: ServerState | None = None,
) -> Coroutine[Any, Any, None]:
    """Serves ``app`` and calls ``use`` with a connection to it, which does not block.

    The socket is a Unix socket at ``path`` if that is given. ``state`` knows the connections.
    """

    async def serve() -> None:
        protocol = connections_to(app, state=state, patience=patience)
        loop = asyncio.get_running_loop()
        if path:
            server = await loop.create_unix_server(protocol, path)
        else:
            server = await loop.create_server(protocol, "127.0.0.1", 0)
        with socket.socket(server.sockets[0].family) as connection:
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


def test_a_client_at_a_unix_socket_has_a_name_in_place_of_an_address(
    run: Runner, tmp_path: Path
) -> None:
    clients: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clients.append(scope["client"])
        await Response()(scope, receive, send)

    async def request(connection: socket.socket) -> None:
        connection.send(REQUEST)
        assert await asyncio.get_running_loop().sock_recv(connection, 1000)

    run(connected_to(app, request, path=tmp_path / "s"))
    assert clients == [(UNIX_CLIENT, 0)]


def test_the_request_of_a_client_that_has_gone_is_cancelled(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_module, "_HALF_CLOSED_SECONDS", 0.05)
    events: list[str] = []
    begun, ended = asyncio.Event(), asyncio.Event()

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        while "http.disconnect" not in events:
            events.append((await receive())["type"])
            begun.set()
        ended.set()

    async def leave(connection: socket.socket) -> None:
        connection.send(REQUEST)
        await asyncio.wait_for(begun.wait(), PATIENCE)
        connection.close()
        await asyncio.wait_for(ended.wait(), PATIENCE)

    run(connected_to(app, leave))
    assert events == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("request_", [b"", REQUEST, b"GET / HTTP/1.1\r\n", b"nonsense\r\n\r\n"])
def test_a_closed_connection_does_not_stay_in_memory(run: Runner, request_: bytes) -> None:
    state = ServerState()

    async def leave(connection: socket.socket) -> None:
        async with asyncio.timeout(PATIENCE):
            while not state.connections:  # noqa: ASYNC110 # uvicorn has no event for it
                await asyncio.sleep(0.01)
            freed = weakref.ref(next(iter(state.connections)))
            connection.send(request_)
            await asyncio.sleep(0.05)
            connection.close()
            while freed():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert freed() is None

    gc.disable()
    try:
        run(connected_to(Response("done"), leave, state=state))
    finally:
        gc.enable()


def test_a_half_closed_client_may_wait_for_long(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_module, "_HALF_CLOSED_SECONDS", 0.1)
    may_respond = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await may_respond.wait()
        await Response("done")(scope, receive, send)

    async def wait(connection: socket.socket) -> None:
        connection.send(REQUEST)
        connection.shutdown(socket.SHUT_WR)
        interim = await asyncio.get_running_loop().sock_recv(connection, 1000)
        may_respond.set()
        received = interim + await received_by(connection)
        assert re.match(rb"(HTTP/1.1 100 Continue\r\n\r\n)+HTTP/1.1 200 OK\r\n", received)
        assert received.endswith(b"done")

    run(connected_to(app, wait))


@pytest.mark.parametrize(("piece", "whole"), [(2**16, True), (16, False)])
def test_a_client_must_read_at_a_least_rate(run: Runner, piece: int, *, whole: bool) -> None:
    """1 KiB/s, on average over 0.4 s."""
    body = bytes(2**23)  # more than the kernel takes
    state = ServerState()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(body, headers={"Connection": "close"})(scope, receive, send)

    async def read(connection: socket.socket) -> None:
        loop, received = asyncio.get_running_loop(), 0
        connection.send(REQUEST)
        began, size = time.monotonic(), piece
        with suppress(ConnectionResetError):
            while data := await loop.sock_recv(connection, size):
                received += len(data)
                decided = not state.connections or (whole and time.monotonic() - began > 1)
                await asyncio.sleep(0 if decided else 0.02)
                size = 2**20 if decided else size
        assert (received > len(body)) == whole

    run(connected_to(app, read, patience=0.4, state=state))


async def received_by(connection: socket.socket) -> bytes:
    """All that ``connection`` receives until it is closed or reset."""
    loop, received = asyncio.get_running_loop(), b""
    with suppress(ConnectionResetError):
        while piece := await asyncio.wait_for(loop.sock_recv(connection, 2**20), PATIENCE):
            received += piece
    return received


@pytest.mark.parametrize("kind", ["unix socket", "other system"])
def test_a_client_must_read_where_the_system_does_not_say_what_it_has_acknowledged(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if kind == "other system":
        monkeypatch.setattr(protocol_module, "sys", SimpleNamespace(platform="darwin"))
    body = bytes(2**23)  # more than the kernel takes
    state = ServerState()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(body)(scope, receive, send)

    async def never_read(connection: socket.socket) -> None:
        connection.send(REQUEST)
        async with asyncio.timeout(PATIENCE):
            await asyncio.sleep(0.1)
            while state.connections:  # noqa: ASYNC110 # uvicorn has no event for it
                await asyncio.sleep(0.01)
        assert 0 < len(await received_by(connection)) < len(body)

    path = tmp_path / "socket" if kind == "unix socket" else None
    run(connected_to(app, never_read, patience=0.2, path=path, state=state))


def test_what_follows_an_invalid_request_is_ignored(run: Runner) -> None:
    requests, may_respond = [], asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        requests.append(scope["path"])
        await may_respond.wait()
        await Response("done")(scope, receive, send)

    async def use(connection: socket.socket) -> None:
        for data in (REQUEST, b"no request\r\n\r\n", REQUEST):
            connection.send(data)
            await asyncio.sleep(0.05)
        may_respond.set()
        received = await received_by(connection)
        assert received.count(b"HTTP/1.1 ") == 1
        assert b"connection: close" in received.lower()
        assert received.endswith(b"done")
        assert requests == ["/"]

    run(connected_to(app, use))


def test_a_half_closed_client_gets_no_interim_response_once_its_response_has_begun(
    run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_module, "_HALF_CLOSED_SECONDS", 0.05)
    may_respond = asyncio.Event()

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await may_respond.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one", b"two", b"three"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body", "body": b""})

    async def use(connection: socket.socket) -> None:
        connection.send(REQUEST)
        connection.shutdown(socket.SHUT_WR)
        assert b"100 Continue" in await asyncio.get_running_loop().sock_recv(connection, 1000)
        may_respond.set()
        _, _, response = (await received_by(connection)).partition(b"HTTP/1.1 200 ")
        assert b"100 Continue" not in response
        assert [response.count(piece) for piece in (b"one", b"two", b"three")] == [1, 1, 1]
        assert response.endswith(b"0\r\n\r\n")

    run(connected_to(app, use))


def test_a_request_is_not_late_while_the_response_to_the_one_before_is_due(run: Runner) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.5 if scope["path"] == "/" else 0)
        await Response(scope["path"])(scope, receive, send)

    async def use(connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.send(REQUEST)
        await asyncio.sleep(0.05)
        connection.send(b"GET /second HTTP/1.1\r\n")  # begins to arrive
        first = await asyncio.wait_for(loop.sock_recv(connection, 2**16), PATIENCE)
        assert first.startswith(b"HTTP/1.1 200 ")
        connection.send(b"Host: x\r\nConnection: close\r\n\r\n")
        assert (await received_by(connection)).endswith(b"/second")

    run(connected_to(app, use, patience=0.2))


def test_a_response_that_has_begun_is_broken_off_where_its_request_does_not_arrive(
    run: Runner,
) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def use(connection: socket.socket) -> None:
        connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
        received = await received_by(connection)
        assert received.count(b"HTTP/1.1 ") == 1
        assert b"part" in received
        assert not received.endswith(b"0\r\n\r\n")

    run(connected_to(app, use, patience=0.2))


def test_a_connection_that_is_lost_before_its_turn_to_shut_down_is_left_alone(run: Runner) -> None:
    state = ServerState()

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise AssertionError

    async def use(_: socket.socket) -> None:
        async with asyncio.timeout(PATIENCE):
            while not state.connections:  # noqa: ASYNC110 # uvicorn has no event for it
                await asyncio.sleep(0.01)
            connection = next(iter(state.connections))
            assert isinstance(connection, HttpConnection)
            connection.abort()
            while state.connections:  # noqa: ASYNC110 # uvicorn has no event for it
                await asyncio.sleep(0.01)
        connection.shutdown()  # would raise ValueError: the socket is closed

    run(connected_to(app, use, state=state))
