"""How much of a request's body is read."""

import re
import zlib

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ParameterError, TooLargeError, offence, refusal
from app.registry.registry import Catalog

LONGEST = 2**16
"""Ten times the longest body that means anything, in bytes, but for one with latents."""
_NUMBER = 32
"""The longest double in JSON takes 24 bytes; the rest is for commas and blanks."""

# These routes read the body themselves, by ``read``: its bound depends on the model.
_TENSORS = re.compile(r"/v2/models/[^/]+(/versions/[^/]+)?/infer")


def _longest(scope: Scope) -> int:
    """How long the body of a request may be: of one that gives latents, as long as those are."""
    if scope["path"] != "/generate":
        return LONGEST
    state = scope["app"].state
    catalog: Catalog = state.catalog
    widest = max((served.card.latent.width for served in catalog), default=0)
    most: int = state.settings.max_images
    return LONGEST + most * widest * _NUMBER


class BodyLimit:
    """ASGI middleware: a route that reads more of a body than is allowed meets TooLargeError.

    That is LONGEST, but for latents.
    It counts what arrives: a length that is announced may be missing, or wrong.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        if scope["type"] == "http" and _TENSORS.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        length, most = 0, LONGEST

        async def counted() -> Message:
            nonlocal length, most
            message = await receive()
            length += len(message.get("body", b""))
            if length > most and (length > (most := _longest(scope))):
                raise _too_large(most)
            return message

        await self._app(scope, counted, send)


async def read(request: Request, most: int) -> bytes:
    """The whole body, inflated where it came by gzip or deflate (RFC 9110, section 8.4.1).

    Raises TooLargeError for more than ``most`` bytes, as soon as that is known, and ParameterError
    where it cannot be inflated, or ends early.
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
    return _inflated(bytes(body), request.headers.get("content-encoding", "identity"), most)


def _inflated(body: bytes, encoding: str, most: int) -> bytes:
    if encoding == "identity":
        return body
    if encoding not in {"gzip", "deflate"}:
        allowed = "one of identity, gzip, deflate"
        raise refusal(offence("Content-Encoding", "header", encoding, allowed))
    inflating = zlib.decompressobj(wbits=47)  # of either form
    try:
        whole = inflating.decompress(body, most + 1)
    except zlib.error as error:
        raise ParameterError(f"the body cannot be inflated: {error}") from error
    if len(whole) > most:
        raise _too_large(most)
    if not inflating.eof:
        raise ParameterError("the body cannot be inflated: it ends early")
    return whole


def _too_large(most: int) -> TooLargeError:
    return TooLargeError(f"the body is longer than {most} bytes")
