"""Compresses long texts with gzip (RFC 9110, section 8.4.1.3); images do not get smaller."""

from collections.abc import Sequence

from isal import isal_zlib
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope

from app.errors import OverloadedError
from app.middleware import quality_values
from app.middleware.encoders import Encoders

_TEXTS = {
    b"application/json",
    b"application/problem+json",
    b"image/svg+xml",
    b"text/css",
    b"text/html",
    b"text/javascript",
}
SHORTEST = 1000
"""A shorter text fits in one packet anyway."""
_INLINE_BYTES = 2**17
"""Compressing this much takes about as long as waking a thread."""
_LEVEL, _GZIP = 1, 31
_VARY, _ACCEPT_ENCODING = b"vary", b"Accept-Encoding"

RawHeaders = Sequence[tuple[bytes, bytes]]


class Compression:
    """Compresses long texts, unless they are sent in pieces."""

    def __init__(self, encoders: Encoders) -> None:
        self._encoders = encoders

    def concerns(self, start: Message) -> bool:
        """Whether a response that begins like this is a text, which ``apply`` may compress."""
        headers = dict(start["headers"])
        media_type = headers.get(b"content-type", b"").partition(b";")[0]
        return media_type in _TEXTS and b"content-encoding" not in headers

    async def apply(self, scope: Scope, start: Message, body: Message) -> Message:
        """The first part of the body to send, compressed if that is worth it.

        Changes the headers in ``start`` accordingly.
        """
        start["headers"] = _varying(start["headers"])
        if not _is_long(body) or not accepts_gzip(Headers(scope=scope).get("accept-encoding", "")):
            return body
        compressed = await self._compressed(body["body"])
        if compressed is None:
            return body
        headers = MutableHeaders(scope=start)
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(compressed))
        if tag := headers.get("etag"):
            # The bytes differ from those that a strong tag names (section 8.8.3.3).
            headers["ETag"] = f"W/{tag.removeprefix('W/')}"
        return {**body, "body": compressed}

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


def _varying(headers: RawHeaders) -> RawHeaders:
    """``headers`` with a ``Vary`` that names ``Accept-Encoding`` as well."""
    for place, (name, value) in enumerate(headers):
        if name == _VARY:
            varying = (_VARY, value + b", " + _ACCEPT_ENCODING)
            return [*headers[:place], varying, *headers[place + 1 :]]
    return [*headers, (_VARY, _ACCEPT_ENCODING)]


def _is_long(message: Message) -> bool:
    return not message.get("more_body", False) and len(message.get("body", b"")) >= SHORTEST
