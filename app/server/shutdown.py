"""Graceful shutdown: every accepted request is answered before the process exits."""

import asyncio
import ctypes
import logging
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn

from app.server.protocol import HttpConnection

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 0.5
"""Time for TCP handshakes in progress to complete, and for new connections to send a request.

A client on a busy machine may be scheduled late.
"""

# Classic BPF over a TCP segment: one with the flag SYN (RFC 9293, section 3.1) is dropped.
_DROP_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
_SO_ATTACH_FILTER = 26


class GracefulShutdown:
    """Shuts uvicorn's server down gracefully at the first SIGTERM or SIGINT."""

    def __init__(self, grace: float) -> None:
        """``grace``: seconds after SIGTERM in which new connections are still accepted."""
        self._grace = grace
        self._signal: signal.Signals | None = None
        # The event loop itself keeps only weak references to tasks.
        self._task: asyncio.Task[None] | None = None
        self._accepted: list[asyncio.Task[object]] = []

    @property
    def started(self) -> bool:
        """Whether a signal has been received."""
        return self._signal is not None

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """Replace uvicorn's signal handlers, which would stop accepting connections at once.

        Does nothing where this thread's signals are not uvicorn's.
        """
        server = _server()
        if server is None:
            yield
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for one in signals:
            loop.add_signal_handler(one, self._receive, one, server)
        try:
            yield
        finally:
            for one in signals:
                loop.remove_signal_handler(one)

    def _receive(self, received: signal.Signals, server: uvicorn.Server) -> None:
        if self._signal is None:
            self._signal = received
            self._task = asyncio.create_task(self._shut_down(received, server))
        # A terminal's SIGINT reaches workers too, and is followed by their supervisor's SIGTERM.
        elif (self._signal, received) != (signal.SIGINT, signal.SIGTERM):
            logger.warning("second signal received: exiting at once")
            logging.shutdown()
            os._exit(128 + received)

    async def _shut_down(self, received: signal.Signals, server: uvicorn.Server) -> None:
        while not server.started:  # noqa: ASYNC110 # uvicorn has no event for it
            await asyncio.sleep(SETTLE_SECONDS / 10)
        for connection in list(server.server_state.connections):
            if isinstance(connection, HttpConnection):
                connection.close_after_response()
        if received == signal.SIGTERM and self._grace:
            logger.info("not ready any more; accepting connections for another %g s", self._grace)
            await asyncio.sleep(self._grace)
        for listener in server.servers:
            if not all(_drop_handshakes(one) for one in listener.sockets):
                self._accepted += _accept_pending(server, listener)
                listener.close()
        await asyncio.sleep(SETTLE_SECONDS)
        server.handle_exit(received, None)


def _server() -> uvicorn.Server | None:
    """The uvicorn server that handles the signals of this thread, if there is one."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return None
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return owner if isinstance(owner, uvicorn.Server) else None


def _drop_handshakes(listener: socket.socket) -> bool:
    """Drop new handshakes on ``listener``; those in progress complete.

    Closing the listener would reset the connections that wait to be accepted, some of which have
    already sent requests. Returns False where the system does not allow the filter: some kernels
    require CAP_NET_ADMIN, and Unix sockets have no handshakes.
    """
    if sys.platform != "linux" or listener.family == socket.AF_UNIX:
        return False
    try:
        with socket.socket(fileno=os.dup(listener.fileno())) as same:
            code = b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN)
            buffer = ctypes.create_string_buffer(code)
            program = struct.pack("@HP", len(_DROP_SYN), ctypes.addressof(buffer))
            same.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


def _accept_pending(server: uvicorn.Server, listener: asyncio.Server) -> list[asyncio.Task[object]]:
    """Accept the connections that wait on ``listener``, which closing it would reset."""
    loop = asyncio.get_running_loop()
    protocol = partial(  # type: ignore[call-arg]  # as uvicorn creates its connections
        server.config.http_protocol_class,
        config=server.config,
        server_state=server.server_state,
        app_state=server.lifespan.state,
    )
    tasks: list[asyncio.Task[object]] = []
    for one in listener.sockets:
        with socket.socket(fileno=os.dup(one.fileno())) as same, suppress(OSError):
            same.setblocking(False)
            while True:
                connection, _ = same.accept()
                tasks.append(loop.create_task(loop.connect_accepted_socket(protocol, connection)))
    return tasks
