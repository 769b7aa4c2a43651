"""Request id, request context, access log, metrics and traces: around all other middleware."""

import logging
import time
from collections.abc import Iterable
from urllib.parse import quote, unquote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.auth.api_keys import Authenticator
from app.errors import SECRET_NAME
from app.middleware.request_context import REQUEST_ID_HEADER, RequestContext, request_id
from app.observability.metrics import Metrics
from app.observability.request_stats import RequestStats
from app.observability.tracing import Tracer
from app.settings import Settings

OTHER = "other"

logger = logging.getLogger(__name__)

_HEADER = REQUEST_ID_HEADER.lower().encode()
# An unbounded label set would let clients create time series at will.
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_LINE = '%(client)s "%(method)s %(path)s" %(status)d route=%(route)s seconds=%(seconds).4f'
_IMAGES = (
    " images=%(images)d model=%(model)s queue=%(queue).5f compute=%(compute).5f encode=%(encode).5f"
)
_ID = " id=%(request_id)s"
_PRIVATE = (b"cache-control", b"private")


def install(
    app: FastAPI,
    settings: Settings,
    authenticator: Authenticator,
    metrics: Metrics,
    tracer: Tracer | None,
) -> None:
    """Wrap everything in AccessLog, including the middleware that answers failures with 500."""
    build = app.build_middleware_stack

    def stack() -> ASGIApp:
        return AccessLog(build(), settings, authenticator, metrics, tracer)

    app.build_middleware_stack = stack  # type: ignore[method-assign]


class AccessLog:
    """ASGI middleware that creates each request's context and records the outcome."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        authenticator: Authenticator,
        metrics: Metrics,
        tracer: Tracer | None,
    ) -> None:
        self._app, self._authenticator = app, authenticator
        self._metrics, self._tracer = metrics, tracer
        self._timeout, self._log = settings.timeout, settings.access_log
        self._literal_routes: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its context in ``scope["state"]["context"]``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stats = RequestStats(request_id(scope))
        context = RequestContext(scope, receive, self._authenticator, self._timeout, stats)
        scope.setdefault("state", {})["context"] = context
        header = (_HEADER, stats.request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                stats.status = message["status"]
                message["headers"] = [*message["headers"], header]
                if context.needs_key and not _has_cache_control(message["headers"]):
                    message["headers"].append(_PRIVATE)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            context.close()
            stats.seconds = time.perf_counter() - stats.began
            self._record(scope, stats)

    def _record(self, scope: Scope, stats: RequestStats) -> None:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        route = self._route(scope)
        self._metrics.count_request(method, route, stats)
        if self._tracer:
            self._tracer.record(scope, method, route, stats)
        if self._log and logger.isEnabledFor(logging.INFO):
            line = _LINE + _IMAGES + _ID if stats.images else _LINE + _ID
            logger.info(line, fields(scope, route, stats))

    def _route(self, scope: Scope) -> str:
        """The route's path template; OTHER without one, so that labels stay few."""
        path = scope["path"]
        template: str | None = getattr(scope.get("route"), "path_format", None)
        if template == path:
            self._literal_routes.add(path)
        elif template is None and path in self._literal_routes:
            return str(path)  # refused by middleware before it was routed
        return template or OTHER


def fields(scope: Scope, route: str, stats: RequestStats) -> dict[str, object]:
    """The fields of a request's log line; the line contains nothing else from the request."""
    client = scope.get("client")
    logged: dict[str, object] = {
        "client": "{}:{}".format(*client) if client else "-",
        "method": scope["method"],
        "path": _path(scope),
        "route": route,
        "status": stats.status,
        "seconds": round(stats.seconds, 6),
        "request_id": stats.request_id,
    }
    if stats.images:
        logged.update(
            images=stats.images,
            model=f"{stats.model}/{stats.version}",
            queue=round(stats.queue, 6),
            compute=round(stats.compute, 6),
            encode=round(stats.encode, 6),
        )
    return logged


def _path(scope: Scope) -> str:
    """The path and query as received, on one line and without a quotation mark."""
    path, query = scope.get("raw_path") or quote(scope["path"]).encode(), scope["query_string"]
    received: bytes = path + b"?" + query if query else path
    text = received.decode("ascii", "backslashreplace")
    if query and ("%" in text or SECRET_NAME.search(text)):
        text, _, parameters = text.partition("?")
        text += "?" + "&".join(map(_without_secret, parameters.split("&")))
    return text if text.isprintable() and '"' not in text else ascii(text)[1:-1].replace('"', "%22")


def _without_secret(pair: str) -> str:
    """``pair`` of a query's parameter and value, the value replaced if it may be a key."""
    name, separator, _ = pair.partition("=")
    return f"{name}=***" if separator and SECRET_NAME.search(unquote(name)) else pair


def _has_cache_control(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"cache-control" for name, _ in headers)
