"""Bounds the size of request bodies, also of what they contain compressed."""

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope

from app.errors import BodyTooLargeError, ParameterError
from app.middleware import content_coding
from app.middleware.content_coding import IDENTITY, Coding, Decompressor

LONGEST = 2**16
"""Bytes: ten times the longest sensible body of a route without tensors or latents."""
_BYTES_PER_NUMBER = 32
"""A float64 takes up to 24 bytes in JSON: sign, 17 digits, point and exponent; and a separator."""

BodyBound = Callable[[str], int | None]
"""The longest body in bytes for a path; None for routes that bound their body themselves."""


class BodyLimit:
    """Raises BodyTooLargeError if a route reads more than its path allows, and decompresses bodies.

    LONGEST bytes are always allowed; for longer bodies, ``bound`` decides. The bytes are counted as
    they arrive, because the announced length may be missing or wrong, and as they are decompressed.
    Routes that bound their body themselves also decompress it.
    """

    def __init__(self, bound: BodyBound) -> None:
        self._bound = bound

    def limited(self, scope: Scope, receive: Receive) -> Receive:
        """``receive`` of a request, with its body counted and decompressed.

        It raises ContentCodingError for an unknown coding, ParameterError for a damaged body.
        """
        body: _Body | None = None

        async def counting_receive() -> Message:
            nonlocal body
            body = body or _Body(self._bound, scope, receive)
            return await body.receive()

        return counting_receive


class _Body:
    """The body of one request."""

    def __init__(self, bound: BodyBound, scope: Scope, receive: Receive) -> None:
        self._bound, self._scope, self._receive = bound, scope, receive
        self._received, self._decompressed, self._most = 0, 0, LONGEST
        self._decompressor: Decompressor | None = None
        self._has_more = True
        """Whether compressed pieces follow."""

    async def receive(self) -> Message:
        if self._decompressor and self._decompressor.is_waiting:
            await asyncio.sleep(0)  # others have their turn
            return self._next(self._decompressor)
        message = await self._receive()
        more = message.get("more_body", False)
        if not (piece := message.get("body")):
            if self._decompressor and message["type"] == "http.request" and not more:
                self._decompressor.check_end()
            return message
        if not self._received:
            self._decompressor = self._new_decompressor()
        self._received += len(piece)
        self._check(self._received)
        if not self._decompressor:
            return message
        self._has_more = more
        self._decompressor.add(piece)
        return self._next(self._decompressor)

    def _next(self, decompressor: Decompressor) -> Message:
        """The next piece of the decompressed body."""
        piece = decompressor.take()
        self._decompressed += len(piece)
        self._check(self._decompressed)
        more = decompressor.is_waiting or self._has_more
        if not more:
            decompressor.check_end()
        return {"type": "http.request", "body": piece, "more_body": more}

    def _new_decompressor(self) -> Decompressor | None:
        """What decompresses the body; None if it is not compressed, or if the route does it."""
        values = [value for name, value in self._scope["headers"] if name == b"content-encoding"]
        if not values or self._bound(self._scope["path"]) is None:
            return None
        coding = content_coding.coding(value.decode("latin-1") for value in values)
        return None if coding == IDENTITY else Decompressor()

    def _check(self, length: int) -> None:
        if length > self._most:
            # Called for long bodies only, which are rare.
            bound = self._bound(self._scope["path"])
            if bound is not None and length > bound:
                raise _too_large(bound)
            self._most = self._most if bound is None else bound


def longest_with(numbers: int, others: int = LONGEST) -> int:
    """The longest sensible body in bytes with this many ``numbers``, and ``others`` bytes."""
    return others + numbers * _BYTES_PER_NUMBER


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


def decompressed(body: bytes, coding: Coding, most: int) -> bytes:
    """``body`` without its coding.

    Takes milliseconds for each megabyte. Raises BodyTooLargeError if the result is longer than
    ``most`` bytes, ParameterError if ``body`` cannot be decompressed.
    """
    if coding == IDENTITY:
        return body
    decompressor = Decompressor(most + 1)
    decompressor.add(body)
    whole = decompressor.take()
    if len(whole) > most:
        raise _too_large(most)
    decompressor.check_end()
    return whole


def _too_large(most: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is longer than {most} bytes")
