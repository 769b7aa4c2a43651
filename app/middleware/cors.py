"""Pages of other origins may ask: cross-origin resource sharing (the Fetch standard, section 3.3).

Never with credentials. Where every origin may ask all answers say so, even to those who did not
tell theirs, as the standard advises ("CORS protocol and HTTP caches"): an image that ``<img>`` put
into a browser's cache is then good for ``fetch``, too, and nothing varies by origin.
"""

from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXPOSED = (
    "Content-Disposition",
    "ETag",
    "Retry-After",
    "Server-Timing",
    "X-Model",
    "X-Request-ID",
    "X-Seed",
)
"""What scripts may read of an answer, beside what all may."""

_METHODS = "GET, HEAD, POST"
_DAY = "86400"
_ALLOW = b"access-control-allow-origin"
_EXPOSE = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())


class Cors:
    """ASGI middleware that lets pages of ``origins`` read answers, or with ``*`` those of all."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, frozenset(filter(None, origins))
        self._anybody = "*" in self._origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer a preflight."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        told = self._told(origin)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            response = self._preflight(headers)
            response.raw_headers += told
            await response(scope, receive, send)
            return

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *told]
            await send(message)

        await self._app(scope, receive, telling)

    def _told(self, origin: str) -> list[tuple[bytes, bytes]]:
        """What every answer to ``origin`` says."""
        if self._anybody:
            return [(_ALLOW, b"*"), _EXPOSE]
        varies = (b"vary", b"Origin")
        if origin in self._origins:
            return [(_ALLOW, origin.encode("latin-1")), _EXPOSE, varies]
        return [varies]

    def _preflight(self, headers: Headers) -> Response:
        """May a page send such a request? Whatever it names, as no credentials come with it."""
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": _DAY}
        if named := headers.get("access-control-request-headers"):
            allowed["Access-Control-Allow-Headers"] = named
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=allowed)
