"""A response whose headers are bytes already."""

from starlette.responses import Response

Headers = tuple[tuple[bytes, bytes], ...]
"""Names in lower case, and values."""


def permanent(*, private: bool) -> Headers:
    """The header that lets caches keep images permanently: a published version never changes.

    A shared cache must not give images that need a key to clients without one: ``private``.
    """
    visibility = b"private" if private else b"public"
    return ((b"cache-control", visibility + b", max-age=31536000, immutable"),)


def revalidated(*, private: bool) -> Headers:
    """The header that lets caches keep images, and ask each time whether they are current."""
    visibility = b"private, " if private else b""
    return ((b"cache-control", visibility + b"no-cache"),)


def entity_headers(media_type: str, length: int | None) -> Headers:
    """The headers about a body; without its length if that is not known."""
    named = (b"content-type", media_type.encode())
    return (named,) if length is None else ((b"content-length", b"%d" % length), named)


class RawResponse(Response):
    """A response with exactly these headers.

    Starlette's encodes text one header at a time, and looks for those that it would have to add.
    """

    def __init__(self, content: bytes, headers: Headers, status_code: int = 200) -> None:
        self.body, self.status_code, self.background = content, status_code, None
        self.raw_headers = list(headers)
