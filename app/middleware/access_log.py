"""What is recorded of every request when it has ended: metrics, a line in the log, a trace."""

import logging
import time
from urllib.parse import quote, unquote

from starlette.types import Scope

from app.errors import SECRET_NAME
from app.observability.metrics import Metrics
from app.observability.request_stats import RequestStats
from app.observability.tracing import Tracer

OTHER = "other"

logger = logging.getLogger(__name__)

# An unbounded label set would let clients create time series at will.
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_LINE = '%(client)s "%(method)s %(path)s" %(status)d route=%(route)s seconds=%(seconds).4f'
_IMAGES = (
    " images=%(images)d model=%(model)s queue=%(queue).5f compute=%(compute).5f encode=%(encode).5f"
)
_ID = " id=%(request_id)s"


class AccessLog:
    """Records the outcome of requests."""

    def __init__(self, metrics: Metrics, tracer: Tracer | None, *, write_lines: bool) -> None:
        """``write_lines``: whether there is a line in the log for every request."""
        self._metrics, self._tracer, self._write_lines = metrics, tracer, write_lines
        self._literal_routes: set[str] = set()

    def record(self, scope: Scope, stats: RequestStats) -> None:
        """Record a request that has just ended."""
        stats.seconds = time.perf_counter() - stats.began
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        route = self._route(scope)
        self._metrics.count_request(method, route, stats)
        if self._tracer:
            self._tracer.record(scope, method, route, stats)
        if self._write_lines and logger.isEnabledFor(logging.INFO):
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
