"""From the first signal to the end: nothing that a client was promised is broken."""

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

from app.server.protocol import Connection

logger = logging.getLogger(__name__)

SETTLE = 0.5
"""Seconds for handshakes that have begun to become connections, and for those to be used.

A client on a busy machine does not always run when it could.
"""

# Classic BPF over a TCP segment: one with the flag SYN (RFC 9293, section 3.1) is dropped.
_NO_SYN = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
_SO_ATTACH_FILTER = 26


class Drain:
    """Whether this process is about to end."""

    def __init__(self, grace: float) -> None:
        """``grace``: seconds after SIGTERM in which new connections are still taken."""
        self._grace = grace
        self._signal: signal.Signals | None = None
        self._task: asyncio.Task[None] | None = None
        self._accepted: list[asyncio.Task[object]] = []

    @property
    def began(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Meanwhile signals that would end uvicorn's server at once drain it first."""
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
            self._task = asyncio.create_task(self._drain(received, server))
        # A terminal's SIGINT reaches workers too, and then their supervisor's SIGTERM.
        elif (self._signal, received) != (signal.SIGINT, signal.SIGTERM):
            logger.warning("a second signal: ending at once")
            logging.shutdown()
            os._exit(128 + received)

    async def _drain(self, received: signal.Signals, server: uvicorn.Server) -> None:
        for connection in list(server.server_state.connections):
            if isinstance(connection, Connection):
                connection.retire()
        if received == signal.SIGTERM and self._grace:
            logger.info("not ready any more; new connections are refused in %g s", self._grace)
            await asyncio.sleep(self._grace)
        for listener in server.servers:
            if not all(_shut(one) for one in listener.sockets):
                self._accepted += _accept_the_rest(server, listener)
                listener.close()
        await asyncio.sleep(SETTLE)
        server.handle_exit(received, None)


def _server() -> uvicorn.Server | None:
    """The server that runs in this thread, if any: it is who handles its signals."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return None
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return owner if isinstance(owner, uvicorn.Server) else None


def _shut(listener: socket.socket) -> bool:
    """Let no handshake begin on ``listener``, while those that have begun end well.

    To close it would reset connections that wait to be accepted, of which some have sent requests.
    False where the system does not let this process: some kernels demand CAP_NET_ADMIN.
    """
    if sys.platform != "linux":
        return False
    try:
        with socket.socket(fileno=os.dup(listener.fileno())) as same:
            code = b"".join(struct.pack("HBBI", *step) for step in _NO_SYN)
            buffer = ctypes.create_string_buffer(code)
            program = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(buffer))
            same.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError:
        return False
    return True


def _accept_the_rest(
    server: uvicorn.Server, listener: asyncio.Server
) -> list[asyncio.Task[object]]:
    """Connections that wait on ``listener``, which closing it would reset, as the server's own."""
    loop = asyncio.get_running_loop()
    made = partial(  # type: ignore[call-arg]  # as uvicorn makes them
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
                tasks.append(loop.create_task(loop.connect_accepted_socket(made, connection)))
    return tasks
