"""gzip for long texts (RFC 9110, section 8.4.1.3). Images and ZIP files do not shrink again."""

import asyncio

from isal import isal_zlib
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.content_negotiation import takes_gzip

_TEXTS = {
    "application/json",
    "application/problem+json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
}
SHORTEST = 1000
"""Fewer bytes than these fit in a packet anyhow."""
_AT_ONCE = 2**17
"""So many bytes are compressed sooner than a thread is woken, or nearly so."""
_LEVEL, _GZIP = 1, 31


class Compression:
    """ASGI middleware. What is sent piece by piece goes out as it is, without delay."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            send = _Answer(send, Headers(scope=scope).get("accept-encoding", "")).send
        await self._app(scope, receive, send)


class _Answer:
    """The beginning of a text is held back until its length is known."""

    def __init__(self, send: Send, accepted: str) -> None:
        self._send, self._accepted = send, accepted
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_text(message):
            self._start = message
            return
        if start := self._start:
            self._start = None
            headers = MutableHeaders(scope=start)
            headers.add_vary_header("Accept-Encoding")
            if _is_long(message) and takes_gzip(self._accepted):
                message = {**message, "body": await _compressed(message["body"])}
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(message["body"]))
                if tag := headers.get("etag"):
                    # These are other bytes than those that it names (section 8.8.3.3).
                    headers["ETag"] = f"W/{tag.removeprefix('W/')}"
            await self._send(start)
        await self._send(message)


def _is_text(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    media_type = headers.get("content-type", "").partition(";")[0]
    return media_type in _TEXTS and "content-encoding" not in headers


def _is_long(message: Message) -> bool:
    return not message.get("more_body", False) and len(message.get("body", b"")) >= SHORTEST


async def _compressed(body: bytes) -> bytes:
    def compressed() -> bytes:
        content: bytes = isal_zlib.compress(body, _LEVEL, _GZIP)
        return content

    return compressed() if len(body) <= _AT_ONCE else await asyncio.to_thread(compressed)
