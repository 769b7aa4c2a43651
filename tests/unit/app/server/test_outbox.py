"""Responses that are ready in the same turn of the event loop, and what happens before they go."""

import asyncio
from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.server.protocol import HttpConnection
from tests.http_connections import REQUEST, FakeTransport, connections_to


class LoggedTransport(FakeTransport):
    """Logs what is done to it."""

    def __init__(self, log: list[str], name: str) -> None:
        super().__init__()
        self._log, self._name = log, name

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self._log.append(f"{bytes(data[9:12]).decode()} to {self._name}")

    def close(self) -> None:
        super().close()
        self._log.append(f"close {self._name}")

    def abort(self) -> None:
        super().close()
        self._log.append(f"abort {self._name}")


def logged(
    use: Callable[[HttpConnection, LoggedTransport], object],
    connections: int = 1,
    keep_alive: int = 5,
) -> list[str]:
    """What happens when ``use`` is called after each connection's response, before it is sent."""
    log: list[str] = []
    transports = [LoggedTransport(log, f"client {k}") for k in range(connections)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        log.append("ready")
        await PlainTextResponse("text")(scope, receive, send)

    async def serve() -> None:
        new_connection = connections_to(app, keep_alive=keep_alive)
        opened = []
        for transport in transports:
            connection = new_connection()
            connection.connection_made(transport)
            connection.data_received(REQUEST)
            opened.append(connection)
        await asyncio.sleep(0)  # the application answers, and the loop has not turned since
        assert log == ["ready"] * connections
        for connection, transport in zip(opened, transports, strict=True):
            use(connection, transport)
        await asyncio.sleep(0.01)
        for connection in opened:
            connection.connection_lost(None)

    asyncio.run(serve())
    for transport in transports:
        transport.release()
    return log[connections:]


def test_responses_are_sent_once_all_are_ready() -> None:
    sent = logged(lambda *_: None, connections=2)
    assert sent[:2] == ["200 to client 0", "200 to client 1"]


def test_a_client_that_has_ended_its_side_gets_its_response() -> None:
    def end(connection: HttpConnection, transport: LoggedTransport) -> None:
        if not connection.eof_received():
            transport.close()  # as event loops do

    assert logged(end)[:2] == ["200 to client 0", "close client 0"]


def test_a_response_is_sent_before_the_connection_is_shut_down() -> None:
    sent = logged(lambda connection, _: connection.shutdown())
    assert sent[:2] == ["200 to client 0", "close client 0"]


def test_a_response_is_sent_before_an_idle_connection_is_closed() -> None:
    sent = logged(lambda *_: None, keep_alive=0)
    assert sent[:2] == ["200 to client 0", "close client 0"]


def test_a_response_is_sent_before_the_error_of_the_next_request() -> None:
    sent = logged(lambda connection, _: connection.data_received(b"\0\r\n\r\n"))
    assert sent[:3] == ["200 to client 0", "400 to client 0", "close client 0"]


def test_a_lost_connection_does_not_stop_the_others() -> None:
    is_first = iter([True, False])
    sent = logged(lambda one, _: one.abort() if next(is_first) else None, connections=2)
    assert sent[:2] == ["abort client 0", "200 to client 1"]
