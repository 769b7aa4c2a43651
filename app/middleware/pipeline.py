"""One pass over every request and its response, for all that routes have in common.

As a chain of ASGI middleware, every part would wrap ``receive`` and ``send``, and each message of
each request would go through all of them. Here both are wrapped once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.access_log import AccessLog
from app.middleware.body_limit import BodyLimit
from app.middleware.compression import Compression
from app.middleware.cors import Cors
from app.middleware.load_shedding import LoadShedding
from app.middleware.proxy_headers import ProxyHeaders
from app.middleware.request_context import REQUEST_ID_HEADER, RequestContext

NewContext = Callable[[Scope, Receive], RequestContext]
"""Makes the context of a request."""

_ID = REQUEST_ID_HEADER.lower().encode()
_PRIVATE = (b"cache-control", b"private")


@dataclass(frozen=True)
class Parts:
    """What the pipeline consists of."""

    new_context: NewContext
    proxy_headers: ProxyHeaders
    cors: Cors
    load_shedding: LoadShedding
    body_limit: BodyLimit
    compression: Compression
    access_log: AccessLog


class Pipeline:
    """ASGI middleware around everything, including what answers failures with 500."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its context in ``scope["state"]["context"]``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts = self._parts
        parts.proxy_headers.apply(scope)
        context = parts.new_context(scope, receive)
        scope.setdefault("state", {})["context"] = context
        outgoing = _Outgoing(send, context, parts)
        try:
            early = parts.cors.preflight(scope) or parts.load_shedding.refusal(scope, context)
            limited = parts.body_limit.limited(scope, receive)
            await (early or self._app)(scope, limited, outgoing.send)
            parts.load_shedding.settle(scope, context)
        finally:
            context.close()
            parts.access_log.record(scope, context.stats)
            # The context refers to the scope, too. Such a cycle would keep them, and all that they
            # refer to, until the garbage collector runs, which takes longer the more there are.
            del scope["state"]["context"]


class _Outgoing:
    """Completes the headers of one response, and compresses it if it is a long text."""

    __slots__ = ("_context", "_parts", "_send", "_start")

    def __init__(self, send: Send, context: RequestContext, parts: Parts) -> None:
        self._send, self._context, self._parts = send, context, parts
        self._start: Message | None = None
        """The start of a text response, until its length is known."""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self._parts.compression.concerns(message):
                self._start = message
                return
            self._complete(message)
        elif start := self._start:
            self._start = None
            message = await self._parts.compression.apply(self._context.scope, start, message)
            self._complete(start)
            await self._send(start)
        await self._send(message)

    def _complete(self, start: Message) -> None:
        context = self._context
        context.stats.status = start["status"]
        headers = [
            *start["headers"],
            *self._parts.cors.headers(context.scope),
            (_ID, context.stats.request_id.encode()),
        ]
        if context.needs_key and not _has_cache_control(headers):
            headers.append(_PRIVATE)
        start["headers"] = headers


def _has_cache_control(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"cache-control" for name, _ in headers)
