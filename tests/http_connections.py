"""Connections of the server's protocol to any ASGI application, without a server."""

import asyncio
import socket
from collections.abc import Callable
from types import SimpleNamespace

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from app.errors import AppError
from app.server.connections import ConnectionLimits, ConnectionTable
from app.server.protocol import APPLICATION, Application, HttpConnection

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
"""The shortest valid request."""


def connections_to(
    app: ASGIApp,
    *,
    state: ServerState | None = None,
    patience: float = 60,
    keep_alive: int = 5,
    date_header: bool = True,
) -> Callable[[], HttpConnection]:
    """What makes a connection to ``app`` within the running event loop; ``state`` knows them.

    An error is a response with the status 400 and no body.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=date_header,
        timeout_keep_alive=keep_alive,
    )
    config.load()
    limits = ConnectionLimits(10, 10, per_client=0, patience=patience, unsent_bytes=2**30)
    table, shutdown = ConnectionTable(limits, str), SimpleNamespace(started=False)
    served = Application(config.loaded_app, table, shutdown, _refused, "")
    known = state or ServerState()
    return lambda: HttpConnection(config, known, {APPLICATION: served})


def _refused(_: str, __: AppError) -> Response:
    return Response(status_code=400)


class FakeTransport(asyncio.Transport):
    """The transport of an open connection whose client sends nothing."""

    def __init__(self) -> None:
        own, peer = ("192.0.2.1", 80), ("192.0.2.2", 5)
        self._sockets = socket.socketpair()
        connected = SimpleNamespace(
            family=socket.AF_INET,
            fileno=self._sockets[0].fileno,
            getsockname=lambda: own,
            getpeername=lambda: peer,
        )
        super().__init__({"socket": connected})
        self.closed = False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def release(self) -> None:
        """Close the sockets."""
        for one in self._sockets:
            one.close()
