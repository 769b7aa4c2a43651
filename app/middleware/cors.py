"""Cross-origin resource sharing (Fetch standard, section 3.3), always without credentials.

Where every origin is allowed, every response says so, even to a request without ``Origin``, as the
standard advises ("CORS protocol and HTTP caches"). An image that ``<img>`` put into the browser's
cache can then be used by ``fetch`` too, and no response varies by origin.
"""

from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXPOSED_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Retry-After",
    "Server-Timing",
    "X-Model",
    "X-Request-ID",
    "X-Seed",
)
"""Response headers that scripts may read, besides those that the standard always allows."""

_METHODS = "GET, HEAD, POST"
_DAY = "86400"
_ALLOW = b"access-control-allow-origin"
_EXPOSE = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())


class Cors:
    """ASGI middleware that lets pages of ``origins`` read responses; ``*`` allows every origin."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, frozenset(filter(None, origins))
        self._any_origin = "*" in self._origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer a preflight request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        cors_headers = self._headers(headers.get("origin", ""))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            response = self._preflight(headers)
            response.raw_headers += cors_headers
            await response(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *cors_headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers(self, origin: str) -> list[tuple[bytes, bytes]]:
        """The CORS headers of every response to a page of ``origin``."""
        if self._any_origin:
            return [(_ALLOW, b"*"), _EXPOSE]
        varies = (b"vary", b"Origin")
        if origin in self._origins:
            return [(_ALLOW, origin.encode("latin-1")), _EXPOSE, varies]
        return [varies]

    def _preflight(self, headers: Headers) -> Response:
        """Allow every request header, as no credentials come with a request."""
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": _DAY}
        if named := headers.get("access-control-request-headers"):
            allowed["Access-Control-Allow-Headers"] = named
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=allowed)
