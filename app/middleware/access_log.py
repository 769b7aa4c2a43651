"""What is seen of every request: an id, a line in the log, figures."""

import logging
import os
import re
import time
from urllib.parse import quote

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability import request_stats
from app.observability.metrics import Metrics
from app.observability.request_stats import Record
from app.observability.tracing import Tracer

REQUEST_ID = "X-Request-ID"
OTHER = "other"

logger = logging.getLogger(__name__)

_HEADER = REQUEST_ID.lower().encode()
# Whatever else a client sends may be meant for the log, or for a page that shows it.
_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Whoever makes methods up shall not make time series of them.
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_LINE = '%(client)s "%(method)s %(path)s" %(status)d route=%(route)s seconds=%(seconds).4f'
_DRAWN = (
    " images=%(images)d model=%(model)s queue=%(queue).5f compute=%(compute).5f encode=%(encode).5f"
)
_ID = " id=%(request_id)s"


def install(app: FastAPI, metrics: Metrics, tracer: Tracer | None, *, log: bool) -> None:
    """Let all that ``app`` answers be seen, its failures included."""
    build = app.build_middleware_stack

    def stack() -> ASGIApp:
        # Outside of what answers with 500, which is outside of all that may be added.
        return Telemetry(build(), metrics, tracer, log=log)

    app.build_middleware_stack = stack  # type: ignore[method-assign]


class Telemetry:
    """ASGI middleware that gives every request an id and writes down what became of it."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracer: Tracer | None, *, log: bool) -> None:
        self._app, self._metrics, self._tracer, self._log = app, metrics, tracer, log
        self._literal: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. ``scope["state"]["request_id"]`` is its id, and in the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = Record(_request_id(scope))
        scope.setdefault("state", {})["request_id"] = known.request_id
        header = (_HEADER, known.request_id.encode())

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                known.status = message["status"]
                message["headers"] = [*message["headers"], header]
            await send(message)

        request_stats.begin(known)
        try:
            await self._app(scope, receive, named)
        finally:
            known.seconds = time.perf_counter() - known.began
            self._write(scope, known)

    def _write(self, scope: Scope, known: Record) -> None:
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        route = self._route(scope)
        self._metrics.count_request(method, route, known)
        if self._tracer:
            self._tracer.record(scope, method, route, known)
        if self._log and logger.isEnabledFor(logging.INFO):
            line = _LINE + _DRAWN + _ID if known.images else _LINE + _ID
            logger.info(line, facts(scope, route, known))

    def _route(self, scope: Scope) -> str:
        """Its template; OTHER for what has none, so that labels are as few as routes."""
        path = scope["path"]
        template: str | None = getattr(scope.get("route"), "path_format", None)
        if template == path:
            self._literal.add(path)
        elif template is None and path in self._literal:
            return str(path)  # answered by some middleware before it was routed
        return template or OTHER


def facts(scope: Scope, route: str, known: Record) -> dict[str, object]:
    """What the log tells of a request: all that its line names, and nothing else of it."""
    client = scope.get("client")
    told: dict[str, object] = {
        "client": "{}:{}".format(*client) if client else "-",
        "method": scope["method"],
        "path": _path(scope),
        "route": route,
        "status": known.status,
        "seconds": round(known.seconds, 6),
        "request_id": known.request_id,
    }
    if known.images:
        told.update(
            images=known.images,
            model=f"{known.model}/{known.version}",
            queue=round(known.queue, 6),
            compute=round(known.compute, 6),
            encode=round(known.encode, 6),
        )
    return told


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and _SANE.fullmatch(value):
            found: bytes = value
            return found.decode()
    return os.urandom(8).hex()


def _path(scope: Scope) -> str:
    """The path and query as they came, on one line and without a quotation mark."""
    path, query = scope.get("raw_path") or quote(scope["path"]).encode(), scope["query_string"]
    came: bytes = path + b"?" + query if query else path
    text = came.decode("ascii", "backslashreplace")
    return text if text.isprintable() and '"' not in text else ascii(text)[1:-1].replace('"', "%22")
