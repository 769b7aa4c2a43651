"""Sends a whole response with one system call, and with little work for each of its headers.

uvicorn writes the head by itself, and checks it header by header. Head and body in one piece also
wake the client once instead of twice.
"""

from collections.abc import Awaitable, Callable

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseStartEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_COPIED_BYTES = 2**16
"""Up to this size, copying a body behind its head is cheaper than a second system call."""
_LENGTH, _EMPTY = b"content-length", {204: b"0", 304: b"0"}
"""Responses with these status codes have no body, and need not announce its length."""
_CONNECTION = frozenset({b"connection", b"transfer-encoding"})
"""Headers that concern the connection, which uvicorn interprets."""
_CONTROLS = bytes({*range(32), 127} - {ord("\t")})
"""Characters that no header may contain."""


class SingleWrite:
    """The ASGI app ``app`` for the one request that ``cycle`` answers."""

    def __init__(
        self, app: ASGI3Application, cycle: RequestResponseCycle, post: Callable[[bytes], None]
    ) -> None:
        """``post`` sends a response, not later than what is written to the transport after it."""
        self._app, self._cycle, self._post = app, cycle, post
        self._start: HTTPResponseStartEvent | None = None
        """The start of a response with a known length, until its body follows."""
        self._headers: dict[bytes, bytes] = {}

    def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, _: ASGISendCallable
    ) -> Awaitable[None]:
        """Answer the request."""
        return self._app(scope, receive, self._send)

    async def _send(self, message: ASGISendEvent) -> None:
        start, self._start = self._start, None
        if start:
            if not self._has_sent(start, message):
                await self._cycle.send(start)
                await self._cycle.send(message)
        elif message["type"] == "http.response.start" and self._has_length(message):
            self._start = message
        else:
            await self._cycle.send(message)

    def _has_length(self, start: HTTPResponseStartEvent) -> bool:
        self._headers = dict(start.get("headers", ()))
        return _LENGTH in self._headers or start["status"] in _EMPTY

    def _has_sent(self, start: HTTPResponseStartEvent, message: ASGISendEvent) -> bool:
        """Send the response if it is whole, short and ordinary; return whether it is."""
        cycle, status = self._cycle, start["status"]
        if (
            message["type"] != "http.response.body"
            or message.get("more_body")
            or len(body := message.get("body", b"")) > _COPIED_BYTES
            or (self._headers.get(_LENGTH) or _EMPTY[status]) != b"%d" % len(body)
            or not _CONNECTION.isdisjoint(self._headers)
            or cycle.scope["method"] == "HEAD"
            or cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or not cycle.keep_alive
        ):
            return False
        headers = (*cycle.default_headers, *start.get("headers", ()))
        head = STATUS_LINE[status] + b"\r\n".join(map(b": ".join, headers)) + b"\r\n\r\n"
        if len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(headers) + 2):
            return False  # uvicorn raises the error
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self._post(head + body)
        cycle.message_event.set()
        cycle.on_response()
        return True
