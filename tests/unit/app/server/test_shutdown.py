"""The signals of a graceful shutdown, and connections that wait where none can be filtered."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.server import shutdown
from app.server.shutdown import GracefulShutdown
from tests.waiting import PATIENCE


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("done", headers={"Connection": "close"})(scope, receive, send)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    """A started server that has the signals of this process."""
    monkeypatch.setattr(shutdown, "SETTLE_SECONDS", 0.1)
    config = uvicorn.Config(answer, lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.started, server.servers = True, []
    handlers = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, server.handle_exit)
    yield server
    for one, handler in handlers.items():
        signal.signal(one, handler)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 # signals change it
            await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("second", "status"), [(signal.SIGTERM, None), (signal.SIGINT, 128 + signal.SIGINT)]
)
def test_after_sigint_only_a_second_one_ends_the_process_at_once(
    server: uvicorn.Server,
    monkeypatch: pytest.MonkeyPatch,
    second: signal.Signals,
    status: int | None,
) -> None:
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    monkeypatch.setattr(shutdown, "logging", SimpleNamespace(shutdown=lambda: None))

    async def run() -> None:
        graceful = GracefulShutdown(0)
        with graceful.handling_signals():
            os.kill(os.getpid(), signal.SIGINT)
            await until(lambda: graceful.started)
            os.kill(os.getpid(), second)
            await until(lambda: server.should_exit)

    asyncio.run(run())
    assert exits == ([] if status is None else [status])


def test_connections_of_other_kinds_do_not_disturb_the_shutdown(server: uvicorn.Server) -> None:
    server.server_state.connections.add(object())  # type: ignore[arg-type]

    async def run() -> None:
        with GracefulShutdown(0).handling_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: server.should_exit)

    asyncio.run(run())
    assert server.should_exit


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_where_handshakes_cannot_be_dropped_waiting_connections_are_accepted_and_answered(
    server: uvicorn.Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    if kind == "tcp":
        monkeypatch.setattr(shutdown, "sys", SimpleNamespace(platform="darwin"))

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def refuse() -> asyncio.Protocol:
            raise AssertionError  # the listener itself accepts nothing any more

        listener = await (
            loop.create_server(refuse, "127.0.0.1", 0, start_serving=False)
            if kind == "tcp"
            else loop.create_unix_server(refuse, tmp_path / "s", start_serving=False)
        )
        (listening,) = listener.sockets
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            same.listen()
        server.servers = [listener]
        graceful = GracefulShutdown(0)
        with graceful.handling_signals(), socket.socket(listening.family) as one:
            one.connect(listening.getsockname())
            one.setblocking(False)
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: graceful.started)
            one.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(PATIENCE):
                received = b""
                while piece := await loop.sock_recv(one, 1000):
                    received += piece
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
            assert received.endswith(b"done")
            await until(lambda: server.should_exit)
            assert not listener.sockets

    asyncio.run(run())
