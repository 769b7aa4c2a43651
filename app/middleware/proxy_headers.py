"""Takes a request's client and scheme from the headers of trusted proxies.

uvicorn's own middleware accepts any text as an address, and misses a proxy whose IPv4 address is
mapped into IPv6, as on a listener for both.
"""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.addresses import TrustedProxies, unmapped

_FOR, _SCHEME = b"x-forwarded-for", b"x-forwarded-proto"
_SCHEMES = {b"http": "http", b"https": "https"}


def install(app: FastAPI) -> None:
    """Wrap everything in ProxyHeaders, so that all of it sees the same client."""
    build = app.build_middleware_stack

    def stack() -> ASGIApp:
        return ProxyHeaders(build(), TrustedProxies())

    app.build_middleware_stack = stack  # type: ignore[method-assign]


class ProxyHeaders:
    """ASGI middleware: ``scope["client"]`` becomes the client's IP address, not its proxy's."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its client, and its scheme if a proxy reports one."""
        if scope["type"] == "http" and (peer := scope.get("client")):
            host = unmapped(peer[0])
            scope["client"] = (host, peer[1])
            if self._proxies.trusts(host):
                self._believe(scope)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        addresses = []
        for name, value in scope["headers"]:
            if name == _FOR:
                addresses.append(value)
            elif name == _SCHEME and (scheme := _SCHEMES.get(value.strip())):
                scope["scheme"] = scheme
        if addresses and (client := self._proxies.forwarded_client(addresses)):
            scope["client"] = client
