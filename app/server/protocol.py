"""uvicorn's HTTP connection, with limits on what a client may send and how slowly."""

import asyncio
import re
import select
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.errors import (
    AppError,
    HeadTooLongError,
    MalformedError,
    RequestTimeoutError,
    TransferCodingError,
    UrlTooLongError,
    error_naming,
    invalid,
)
from app.server.connections import ConnectionTable
from app.server.outbox import Outbox, PostingTransport
from app.server.single_write import SingleWrite
from app.settings import UNIX_CLIENT

MAX_URL_BYTES, MAX_HEAD_BYTES = 2**13, 2**15
MAX_HEADERS = 100
_CHECKS = 4
"""Checks of a connection within ``patience``; it has this share of it for its first byte."""
_LEAST_RATE = 1024
"""Bytes per second that a client must read of a response, on average over ``patience``."""
_HALF_CLOSED_SECONDS = 1
"""After this time without a response, it is checked whether a half-closed client is still there."""

ErrorResponse = Callable[[str, AppError], Response]
"""Builds the response to a request, from its path and the error."""


class ShutdownState(Protocol):
    """Reports whether the process is shutting down."""

    @property
    def started(self) -> bool:
        """Whether every response is to close its connection."""


@dataclass(frozen=True)
class Application:
    """What connections need of the application."""

    handle: ASGIApp
    """Answers requests; uvicorn's own reference to the application only starts and ends it."""
    connections: ConnectionTable
    shutdown: ShutdownState
    error_response: ErrorResponse
    root_path: str
    outbox: Outbox = field(default_factory=Outbox)


APPLICATION: Final = "application"
"""Name of the Application in the state that the lifespan gives."""


class _RefusedError(Exception):
    """Stops the parser."""


class HttpConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits on a request's size and on how long it may take to arrive.

    A request that is too large is answered as soon as that is known. Slow clients are found by a
    timer, which adds no work to a request, after 1 to 1.25 times ``patience``. The timer counts its
    checks and does not read the clock: while the whole process is stopped, no client becomes late.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """``app_state``, from the lifespan, has an Application as APPLICATION."""
        super().__init__(config, server_state, app_state, _loop)
        served: Application = app_state[APPLICATION]
        self.app = served.handle
        self._table = served.connections
        self._patience = self._table.limits.patience
        self._shutdown, self._error_response = served.shutdown, served.error_response
        self._root_path = served.root_path.encode()
        self._outbox = served.outbox
        self._outgoing: PostingTransport
        """The same as ``transport``."""
        self._refused: AppError | None = None
        self._timer: asyncio.TimerHandle
        self._checks: int | None = None
        """Checks since the current request began to arrive; None while no request is arriving."""
        self._framing = 0
        """Bytes received of the current request, not counting its body."""
        self._used = False
        """Whether the client has ever sent anything."""
        self._half_closed = False
        """Whether the client sends no more, but waits for responses."""
        self._unread: tuple[int, int] | None = None
        """Checks since the client last read enough of a response, and the bytes sent by then."""
        self._ignores_input = False
        """Set by an invalid request while responses to earlier ones are still due."""
        self.url = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and start its timer."""
        self._outgoing = PostingTransport(transport, self._outbox)
        super().connection_made(self._outgoing)
        if transport.get_extra_info("socket").family == socket.AF_UNIX:
            self.client = UNIX_CLIENT, 0
        self._checks = 0
        self._timer = self.loop.call_later(self._patience / _CHECKS, self._check_progress)
        self._table.opened(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection, and its timers, which would keep all of it in memory."""
        self._table.closed(self)
        self._timer.cancel()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Make the application wait: the client reads more slowly than it writes."""
        super().pause_writing()
        self._table.backlogged(self)

    def resume_writing(self) -> None:
        """Let the application write again."""
        super().resume_writing()
        self._table.drained(self)

    @property
    def unsent(self) -> int:
        """Bytes that wait in this process to be sent."""
        return self.transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer the complete requests of a client that sends no more, then close.

        An incomplete one is dropped. Returns whether the connection stays open until then.
        """
        self._outgoing.flush()  # the loop may close its transport as soon as this returns
        if self._half_closed or not self._owes_response():
            return self._half_closed and self._owes_response()
        self._half_closed, self._checks = True, None
        self.timeout_keep_alive = 0  # closes after the last response
        if self.cycle.more_body:
            self.pipeline.popleft()
        else:
            self.close_after_response()
            if not self.pipeline:
                self.loop.call_later(_HALF_CLOSED_SECONDS, self._check_presence)
        return True

    def data_received(self, data: bytes) -> None:
        """Parse ``data``. A client that sends nothing but line breaks has begun a request, too."""
        if self._ignores_input:
            return
        if self._checks is None:
            self._checks = 0
        self._used = True
        self._framing += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._framing > MAX_HEAD_BYTES and not self.transport.is_closing():
            self._refuse(HeadTooLongError(_LONG_HEAD))

    def on_headers_complete(self) -> None:
        """Start the application, unless the request exceeds a limit."""
        if self._offers_upgrade():
            return
        in_reserve = self._table.refusal(self)
        refused = in_reserve if in_reserve and not self._is_health_check() else self._refusal()
        if refused:
            self._refused = refused
            raise _RefusedError  # the parser's error leads to ``send_400_response``
        super().on_headers_complete()
        # Fields that follow a chunked body are ignored (RFC 9110, section 6.5.1): they must not
        # become headers, which proxies in front of the server have checked or set.
        self.headers = []
        if in_reserve or self._shutdown.started:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        super()._start_asgi_task(cycle, SingleWrite(app, cycle, self._outgoing.post))

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self._framing -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has arrived."""
        if self._offers_upgrade():
            return
        self._checks, self._framing, self.url = None, 0, b""
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed or exceeds a limit."""
        self._refuse(self._refused or MalformedError(msg))

    def close_after_response(self) -> None:
        """Send ``Connection: close`` with the response in progress, if there is one."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close the connection unless a request is being processed, is arriving or is unread."""
        if self.transport.is_closing():
            return
        if self._framing or _events(self.transport, select.POLLIN):
            self.close_after_response()
        else:
            super().shutdown()

    def _parse(self, data: bytes) -> None:
        while data:
            fed, data = data, b""
            try:
                self.parser.feed_data(fed)
            except HttpParserUpgrade as upgrade:
                data = self._without_upgrade(fed[upgrade.args[0] :])
            except HttpParserError:
                self.send_400_response("Invalid HTTP request received.")

    def _offers_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _without_upgrade(self, rest: bytes) -> bytes:
        """The current request without its ``Upgrade`` header, followed by ``rest``.

        A server may ignore the header (RFC 9110, section 7.8), but the parser stops at the body,
        which it leaves to the other protocol. Java's client offers HTTP/2 with every request.
        """
        if not self._offers_upgrade():
            return b""
        version = self.parser.get_http_version().encode()
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        return b"\r\n".join([first, *headers, b"", rest])

    def _is_health_check(self) -> bool:
        path = self.url.removeprefix(self._root_path)
        return self.parser.get_method() in _HEALTH_METHODS and path.startswith(_HEALTH_PATHS)

    def _refusal(self) -> AppError | None:
        """Why a request with this head is refused; None if it is not."""
        if len(self.url) > MAX_URL_BYTES:
            return UrlTooLongError(f"the URL is longer than {MAX_URL_BYTES} bytes")
        size, hosts, codings = 0, [], []
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"host":
                hosts.append(value)
            elif name == b"transfer-encoding":
                codings.append(value)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADERS:
            return HeadTooLongError(_LONG_HEAD)
        version = self.parser.get_http_version()
        return _wrong_host(version, hosts) or _wrong_framing(version, codings)

    def _check_progress(self) -> None:
        """End a request that arrives too slowly, or a response that the client does not read."""
        if not self._used and not _events(self.transport, select.POLLIN):
            self.transport.close()
        elif self._reads_too_slowly():
            self.transport.abort()
        elif self._checks is not None:
            self._checks += 1
            if self._checks > _CHECKS:  # the first may come right after the request began
                self._time_out()
        self._timer = self.loop.call_later(self._patience / _CHECKS, self._check_progress)

    def _reads_too_slowly(self) -> bool:
        """Whether a response has waited for ``patience`` and the client read hardly any of it.

        What counts is what the client's machine has acknowledged. Our own buffer may stand still
        for long while the kernel sends megabytes from its own.
        """
        unsent = self.unsent
        if not unsent:
            self._unread = None
            return False
        sent = _acknowledged(self.transport)
        sent = unsent if sent is None else sent
        if self._unread is None or abs(sent - self._unread[1]) >= _LEAST_RATE * self._patience:
            self._unread = 0, sent
            return False
        checks, since = self._unread
        self._unread = checks + 1, since
        return checks + 1 >= _CHECKS

    def _check_presence(self) -> None:
        """Find out whether a client that sends no more is still there.

        A closed socket and a half-closed one look alike, but data makes the first one reset the
        connection. A client of HTTP/1.1 must accept interim responses (RFC 9110, section 15.2).
        """
        if self._awaits_response() and self.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._abort_if_reset()

    def _abort_if_reset(self) -> None:
        """Cancel the request of a client that has gone; the event loop itself no longer looks."""
        if not self._awaits_response():
            return
        if _events(self.transport, 0):
            self.transport.abort()
        else:
            self.loop.call_later(_HALF_CLOSED_SECONDS / 4, self._abort_if_reset)

    def _awaits_response(self) -> bool:
        return self in self.connections and not self.cycle.response_started

    def _time_out(self) -> None:
        """Refuse a request that did not arrive, unless the server itself has stopped reading."""
        if self._owes_response():
            self._checks = 0
            return
        self._refuse(RequestTimeoutError(f"the request did not arrive within {self._patience:g} s"))

    def _owes_response(self) -> bool:
        """Whether a request before the one that is arriving still has no complete response."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return bool(self.pipeline) or not self.cycle.more_body

    def _refuse(self, error: AppError) -> None:
        """Answer with ``error`` and close the connection.

        If earlier requests still await their responses, those are sent and the connection then
        closes without ``error``. If the response to this request has begun, it is broken off.
        """
        if self._owes_response():
            self._ignores_input = True
            self.close_after_response()
        elif self.cycle and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self.transport.write(self._error_bytes(error))
            self.transport.close()

    def _error_bytes(self, error: AppError) -> bytes:
        """The HTTP response for ``error``; without its body where the method is HEAD."""
        path = self.url.removeprefix(self._root_path).partition(b"?")[0].decode("latin-1")
        response = self._error_response(path, error)
        response.headers["Connection"] = "close"
        lines = [b": ".join(header) for header in response.raw_headers]
        body = b"" if self.parser.get_method() == b"HEAD" else bytes(response.body)
        status = f"HTTP/1.1 {error.status.value} {error.status.phrase}".encode()
        return b"\r\n".join([status, *lines, b"", body])


def _wrong_host(version: str, hosts: list[bytes]) -> MalformedError | None:
    """What is wrong with a request's version and its ``Host`` headers (RFC 9112, section 3.2)."""
    if version not in _VERSIONS:
        return MalformedError(f"the version is HTTP/{version} but must be HTTP/1.1 or HTTP/1.0")
    if len(hosts) != 1 and (hosts or version == "1.1"):
        return MalformedError(f"the request has {len(hosts)} Host headers but must have one")
    if hosts and not _HOST.fullmatch(hosts[0]):
        return MalformedError("the Host header is no host")
    return None


def _wrong_framing(version: str, values: list[bytes]) -> AppError | None:
    """What is wrong with the values of ``Transfer-Encoding`` (RFC 9112, sections 6.1 and 6.3).

    The parser accepts every list that ends with chunked, and would leave the other codings to us.
    """
    if not values:
        return None
    text = b", ".join(values).decode("latin-1")
    codings = [coding for one in text.split(",") if (coding := one.strip().lower())]
    kind: type[AppError] = MalformedError
    if version != "1.1":
        allowed = "left out, as HTTP/1.0 has no transfer codings"
    elif codings[-1:] != ["chunked"]:
        allowed = "chunked: without it nothing says where the body ends"
    elif len(codings) > 1:
        allowed = "chunked alone; Content-Encoding may name a compression of the body"
        kind = TransferCodingError
    else:
        return None
    return error_naming(kind, invalid("Transfer-Encoding", "header", text, allowed))


def _events(transport: asyncio.Transport, wanted: int) -> int:
    """Which of the events ``wanted``, or of a broken connection, poll(2) reports at once."""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket"), wanted)
    return next((events for _, events in poll.poll(0)), 0)


def _acknowledged(transport: asyncio.Transport) -> int | None:
    """Bytes that the client's machine has acknowledged; None where the system does not say."""
    if sys.platform != "linux":
        return None
    try:
        info = transport.get_extra_info("socket").getsockopt(
            socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES
        )
    except OSError:
        return None
    return struct.unpack_from("=Q", info, _BYTES_ACKED)[0] if len(info) == _TCP_INFO_BYTES else None


_BYTES_ACKED, _TCP_INFO_BYTES = 120, 128
"""Offset of ``tcpi_bytes_acked`` in Linux's ``struct tcp_info``, and the size up to its end."""
_HEALTH_METHODS, _HEALTH_PATHS = (b"GET", b"HEAD"), (b"/health/", b"/v2/health/")
_VERSIONS = ("1.1", "1.0")
_HOST = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")
"""Characters of a host with a port (RFC 3986, section 3.2.2)."""
_LONG_HEAD = f"the request head exceeds {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} headers"
