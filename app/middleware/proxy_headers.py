"""Takes a request's client and scheme from the headers of trusted proxies.

uvicorn's own middleware accepts any text as an address, and misses a proxy whose IPv4 address is
mapped into IPv6, as on a listener for both.
"""

from starlette.types import Scope

from app.auth.addresses import TrustedProxies, unmapped

_FOR, _SCHEME = b"x-forwarded-for", b"x-forwarded-proto"
_SCHEMES = {b"http": "http", b"https": "https"}


class ProxyHeaders:
    """Finds the client of a request that may have come through proxies."""

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies

    def apply(self, scope: Scope) -> None:
        """Make ``scope["client"]`` the client's address, and its scheme what a proxy reports."""
        if peer := scope.get("client"):
            host = unmapped(peer[0])
            scope["client"] = (host, peer[1])
            if self._proxies.trusts(host):
                self._believe(scope)

    def _believe(self, scope: Scope) -> None:
        addresses = []
        for name, value in scope["headers"]:
            if name == _FOR:
                addresses.append(value)
            elif name == _SCHEME and (scheme := _SCHEMES.get(value.strip())):
                scope["scheme"] = scheme
        if addresses and (client := self._proxies.forwarded_client(addresses)):
            scope["client"] = client
