"""Requests that would be refused are refused before they are read: that costs a fraction."""

import re
from collections.abc import Callable, Hashable
from functools import cache

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import problems
from app.auth import api_keys
from app.errors import OverloadedError
from app.observability import request_stats

_PATHS = frozenset({"/generate", "/interpolate", "/grid", "/variations"})
_QUEUE = re.compile(rb"(?:^|&)((?:model|version)=[^&]*)")
# Queues that are full at once: a bound on memory.
_MOST = 100


class Gate:
    """Which queues refused a request for which there is no room still."""

    def __init__(self) -> None:
        self._shut: dict[Hashable, tuple[OverloadedError, Callable[[str], Response]]] = {}

    def shut(self, scope: Scope, error: OverloadedError) -> None:
        """Whoever asks for the same queue is refused until there is room for this request."""
        if scope["path"] in _PATHS and len(self._shut) < _MOST:

            @cache  # it is the same for everybody
            def answer(path: str) -> Response:
                return problems.answer(path, error.status, error.detail, headers=error.headers)

            self._shut[_queue(scope)] = error, answer

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to ``scope``'s request where it need not be read."""
        if not self._shut or scope["path"] not in _PATHS:
            return None
        queue = _queue(scope)
        if (known := self._shut.get(queue)) is None:
            return None
        error, answer = known
        if error.holds(api_keys.client(HTTPConnection(scope))):
            request_stats.current().refused = error.refusal
            return answer(scope["path"])
        del self._shut[queue]
        return None


class Gated:
    """ASGI middleware that asks a Gate."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        refused = self._gate.refusal(scope) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)


def _queue(scope: Scope) -> Hashable:
    """What names a queue in a query: model and version as they are asked for."""
    return tuple(_QUEUE.findall(scope["query_string"]))
