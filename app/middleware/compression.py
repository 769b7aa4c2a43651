"""Compresses long texts with gzip (RFC 9110, section 8.4.1.3); images do not get smaller."""

from isal import isal_zlib
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import OverloadedError
from app.middleware import quality_values
from app.middleware.encoders import Encoders

_TEXTS = {
    "application/json",
    "application/problem+json",
    "image/svg+xml",
    "text/css",
    "text/html",
    "text/javascript",
}
SHORTEST = 1000
"""A shorter text fits in one packet anyway."""
_INLINE_BYTES = 2**17
"""Compressing this much takes about as long as waking a thread."""
_LEVEL, _GZIP = 1, 31


class Compression:
    """ASGI middleware that compresses long texts, unless they are sent in pieces."""

    def __init__(self, app: ASGIApp, encoders: Encoders) -> None:
        self._app, self._encoders = app, encoders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http":
            accepted = Headers(scope=scope).get("accept-encoding", "")
            send = _CompressingSend(send, accepted, self._encoders).send
        await self._app(scope, receive, send)


class _CompressingSend:
    """Delays the start of a text response until its length is known."""

    def __init__(self, send: Send, accept_encoding: str, encoders: Encoders) -> None:
        self._send, self._accept_encoding, self._encoders = send, accept_encoding, encoders
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_text(message):
            self._start = message
            return
        if start := self._start:
            self._start = None
            headers = MutableHeaders(scope=start)
            headers.add_vary_header("Accept-Encoding")
            compressed = None
            if _is_long(message) and accepts_gzip(self._accept_encoding):
                compressed = await self._compressed(message["body"])
            if compressed is not None:
                message = {**message, "body": compressed}
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(message["body"]))
                if tag := headers.get("etag"):
                    # The bytes differ from those that a strong tag names (section 8.8.3.3).
                    headers["ETag"] = f"W/{tag.removeprefix('W/')}"
            await self._send(start)
        await self._send(message)

    async def _compressed(self, body: bytes) -> bytes | None:
        """``body`` in gzip; None if it is long and the encoders are busy."""

        def compressed() -> bytes:
            content: bytes = isal_zlib.compress(body, _LEVEL, _GZIP)
            return content

        if len(body) <= _INLINE_BYTES:
            return compressed()
        try:
            return await self._encoders.run(compressed, len(body))
        except OverloadedError:
            return None


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client accepts gzip (section 12.5.3)."""
    codings = quality_values.parse(accept_encoding)
    return next((codings[name] > 0 for name in ("gzip", "x-gzip", "*") if name in codings), False)


def _is_text(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    media_type = headers.get("content-type", "").partition(";")[0]
    return media_type in _TEXTS and "content-encoding" not in headers


def _is_long(message: Message) -> bool:
    return not message.get("more_body", False) and len(message.get("body", b"")) >= SHORTEST
