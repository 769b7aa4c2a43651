"""Bounds the size of request bodies."""

import zlib
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from app.errors import BodyTooLargeError, ParameterError, invalid, parameter_error

LONGEST = 2**16
"""Bytes: ten times the longest sensible body of a route without tensors or latents."""
_BYTES_PER_NUMBER = 32
"""A float64 takes up to 24 bytes in JSON: sign, 17 digits, point and exponent; and a separator."""

IDENTITY = "identity"
"""The content coding of a body that is sent as it is."""

BodyBound = Callable[[str], int | None]
"""The longest body in bytes for a path; None for routes that bound their body themselves."""


class BodyLimit:
    """Raises BodyTooLargeError if a route reads more than its path allows.

    LONGEST bytes are always allowed; for longer bodies, ``bound`` decides. The bytes are counted as
    they arrive, because the announced length may be missing or wrong.
    """

    def __init__(self, bound: BodyBound) -> None:
        self._bound = bound

    def limited(self, path: str, receive: Receive) -> Receive:
        """``receive`` of a request for ``path``, with its body counted."""
        length, most = 0, LONGEST

        async def counting_receive() -> Message:
            nonlocal length, most
            message = await receive()
            length += len(message.get("body", b""))
            if length > most:
                # Called for long bodies only, which are rare.
                bound = self._bound(path)
                if bound is not None and length > (most := bound):
                    raise _too_large(most)
            return message

        return counting_receive


def longest_with(numbers: int) -> int:
    """The longest sensible body in bytes of a request with so many ``numbers``."""
    return LONGEST + numbers * _BYTES_PER_NUMBER


async def read(request: Request, most: int) -> bytes:
    """The whole body as it was sent, see ``decompressed``.

    Raises BodyTooLargeError as soon as more than ``most`` bytes are certain, ParameterError if the
    body is incomplete.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise _too_large(most)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise _too_large(most)
    except ClientDisconnect as error:
        raise ParameterError("the body ends before its announced length") from error
    return bytes(body)


def decompressed(body: bytes, encoding: str, most: int) -> bytes:
    """``body`` decompressed if ``encoding`` is gzip or deflate (RFC 9110, section 8.4.1).

    Takes milliseconds for each megabyte. Raises BodyTooLargeError if the result is longer than
    ``most`` bytes, ParameterError if ``body`` cannot be decompressed.
    """
    if encoding == IDENTITY:
        return body
    if encoding not in {"gzip", "deflate"}:
        allowed = "one of identity, gzip, deflate"
        raise parameter_error(invalid("Content-Encoding", "header", encoding, allowed))
    decompressor = zlib.decompressobj(wbits=47)  # detects either format
    try:
        whole = decompressor.decompress(body, most + 1)
    except zlib.error as error:
        raise ParameterError(f"the body cannot be decompressed: {error}") from error
    if len(whole) > most:
        raise _too_large(most)
    if not decompressor.eof:
        raise ParameterError("the body cannot be decompressed: it is incomplete")
    return whole


def _too_large(most: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is longer than {most} bytes")
