"""Cross-origin resource sharing (Fetch standard, section 3.3), always without credentials.

Where every origin is allowed, every response says so, even to a request without ``Origin``, as the
standard advises ("CORS protocol and HTTP caches"). An image that ``<img>`` put into the browser's
cache can then be used by ``fetch`` too, and no response varies by origin.
"""

from collections.abc import Collection, Sequence
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

EXPOSED_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Retry-After",
    "Server-Timing",
    "X-Model",
    "X-Request-ID",
    "X-Seed",
    "X-Class",
    "X-Attributes",
)
"""Response headers that scripts may read, besides those that the standard always allows."""

_METHODS = "GET, HEAD, POST"
_DAY = "86400"
_ALLOW = b"access-control-allow-origin"
_EXPOSE = (b"access-control-expose-headers", ", ".join(EXPOSED_HEADERS).encode())
_ANY_ORIGIN = ((_ALLOW, b"*"), _EXPOSE)
_VARIES = (b"vary", b"Origin")


class Cors:
    """Lets pages of some origins read responses."""

    def __init__(self, origins: Collection[str]) -> None:
        """``origins``: of the pages; ``*`` stands for all."""
        self._origins = frozenset(filter(None, origins))
        self._any_origin = "*" in self._origins

    def preflight(self, scope: Scope) -> Response | None:
        """The response to a preflight request; None for any other request.

        It allows every request header, as no credentials come with a request.
        """
        if scope["method"] != "OPTIONS":
            return None
        headers = Headers(scope=scope)
        if "access-control-request-method" not in headers:
            return None
        allowed = {"Access-Control-Allow-Methods": _METHODS, "Access-Control-Max-Age": _DAY}
        if named := headers.get("access-control-request-headers"):
            allowed["Access-Control-Allow-Headers"] = named
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=allowed)

    def headers(self, scope: Scope) -> Sequence[tuple[bytes, bytes]]:
        """The CORS headers of the response to a request."""
        if self._any_origin:
            return _ANY_ORIGIN
        origin = Headers(scope=scope).get("origin", "")
        if origin in self._origins:
            return (_ALLOW, origin.encode("latin-1")), _EXPOSE, _VARIES
        return (_VARIES,)
