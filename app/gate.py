"""Requests that would be refused are refused before they are read: that costs a third."""

import re
from collections.abc import Hashable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app import access, problems, record
from app.errors import OverloadedError

_PATHS = frozenset({"/generate", "/interpolate", "/grid", "/variations"})
_QUEUE = re.compile(rb"(?:^|&)((?:model|version)=[^&]*)")
# Queues that are full at once: a bound on memory.
_MOST = 100


class Gate:
    """Which queues refused a request for which there is no room still."""

    def __init__(self) -> None:
        self._shut: dict[Hashable, OverloadedError] = {}

    def shut(self, scope: Scope, error: OverloadedError) -> None:
        """Whoever asks for the same queue is refused until there is room for this request."""
        if scope["path"] in _PATHS and len(self._shut) < _MOST:
            self._shut[_queue(scope)] = error

    def refusal(self, scope: Scope) -> OverloadedError | None:
        """Why ``scope``'s request need not be read, if so."""
        if not self._shut or scope["path"] not in _PATHS:
            return None
        queue = _queue(scope)
        if (error := self._shut.get(queue)) is None:
            return None
        if error.holds(access.client(HTTPConnection(scope))):
            return error
        del self._shut[queue]
        return None


class Gated:
    """ASGI middleware that asks a Gate."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        error = self._gate.refusal(scope) if scope["type"] == "http" else None
        if error is None:
            await self._app(scope, receive, send)
            return
        record.current().refused = error.refusal
        path = scope["path"]
        refused = problems.answer(path, error.status, error.detail, headers=error.headers)
        await refused(scope, receive, send)


def _queue(scope: Scope) -> Hashable:
    """What names a queue in a query: model and version as they are asked for."""
    return tuple(_QUEUE.findall(scope["query_string"]))
