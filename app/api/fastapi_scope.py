"""Passes requests on to FastAPI's routing, in the form that it expects.

HEAD is answered wherever GET is (RFC 9110, section 9.3.2), with the same status and headers:
FastAPI sees GET, and the web server leaves out the content. ``scope["path"]`` includes a proxy's
prefix for FastAPI, as ASGI says; everywhere else in this server it does not.
"""

from http import HTTPStatus

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class FastAPIScope:
    """ASGI app around FastAPI's routing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the route that is found is noted in ``scope``."""
        if scope["type"] != "http" or not (scope["method"] == "HEAD" or scope.get("root_path")):
            await self._app(scope, receive, send)
            return
        if not scope["path"]:  # relative links of the page need the slash
            moved = RedirectResponse(f"{scope['root_path']}/", HTTPStatus.PERMANENT_REDIRECT)
            await moved(scope, receive, send)
            return
        adapted = {**scope, "path": scope.get("root_path", "") + scope["path"]}
        if scope["method"] == "HEAD":
            adapted["method"], send = "GET", _without_stream(send)
        try:
            await self._app(adapted, receive, send)
        finally:
            if route := adapted.get("route"):
                scope["route"] = route


def _without_stream(send: Send) -> Send:
    """``send`` that ends a streamed response at its first piece: nobody receives the others."""
    ended = False

    async def send_head(message: Message) -> None:
        nonlocal ended
        if message.get("more_body"):
            message = {"type": "http.response.body"}
        if not ended:
            ended = message["type"] == "http.response.body"
            await send(message)

    return send_head
