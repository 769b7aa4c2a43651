"""How much of a request's body is read."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooLargeError

LONGEST = 2**16
"""Ten times the longest body that means anything, in bytes."""


class BodyLimit:
    """ASGI middleware: a route that reads more of a body than LONGEST meets TooLargeError.

    It counts what arrives: a length that is announced may be missing, or wrong.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted."""
        length = 0

        async def counted() -> Message:
            nonlocal length
            message = await receive()
            length += len(message.get("body", b""))
            if length > LONGEST:
                raise TooLargeError(f"the body is longer than {LONGEST} bytes")
            return message

        await self._app(scope, counted, send)
