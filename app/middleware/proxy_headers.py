"""Takes a request's client, scheme, host and path prefix from the headers of trusted proxies.

uvicorn's own middleware accepts any text as an address, and misses a proxy whose IPv4 address is
mapped into IPv6, as on a listener for both.
"""

import re

from starlette.types import Scope

from app.auth.addresses import TrustedProxies, unmapped
from app.settings import is_path

_FORWARDED = b"x-forwarded-"
_FOR, _SCHEME, _PREFIX = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-prefix"
_HOST, _FORWARDED_HOST = b"host", b"x-forwarded-host"
_AUTHORITY = re.compile(rb"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
"""A name or an address, and a port."""
_SCHEMES = {b"http": "http", b"https": "https"}


class ProxyHeaders:
    """Finds out where a request that may have come through proxies comes from, and where it went.

    The public path of a request begins with ``root_path``, or with the prefix that trusted proxies
    report to have removed.
    """

    def __init__(self, proxies: TrustedProxies, root_path: str = "") -> None:
        """``root_path`` begins with a slash, and does not end with one."""
        self._proxies, self._root_path = proxies, root_path

    def apply(self, scope: Scope) -> None:
        """Make ``scope["client"]`` the client's address, and scheme and Host what a proxy reports.

        ``scope["root_path"]`` becomes the public prefix, and ``scope["path"]`` has none; it
        is empty for the prefix alone, without a slash.
        """
        if root_path := scope.get("root_path") or self._root_path:
            scope["root_path"] = root_path
            if f"{scope['path']}/".startswith(f"{root_path}/"):  # no proxy has removed it
                scope["path"] = scope["path"][len(root_path) :]
        if peer := scope.get("client"):
            host = unmapped(peer[0])
            scope["client"] = (host, peer[1])
            if self._proxies.trusts(host):
                self._believe(scope)

    def _believe(self, scope: Scope) -> None:
        addresses, prefixes, host = [], [], b""
        for name, value in scope["headers"]:
            if not name.startswith(_FORWARDED):
                continue
            if name == _FOR:
                addresses.append(value)
            elif name == _SCHEME and (scheme := _SCHEMES.get(value.strip())):
                scope["scheme"] = scheme
            elif name == _PREFIX:
                prefixes.append(value)
            elif name == _FORWARDED_HOST:  # of several, the one that the nearest proxy adds
                host = value.rpartition(b",")[2].strip()
        if addresses and (client := self._proxies.forwarded_client(addresses)):
            scope["client"] = client
        if prefixes and (prefix := _joined(prefixes)):
            scope["root_path"] = prefix
        if _AUTHORITY.fullmatch(host):
            others = [(name, value) for name, value in scope["headers"] if name != _HOST]
            scope["headers"] = [(_HOST, host), *others]


def _joined(prefixes: list[bytes]) -> str | None:
    """The prefix that several proxies have removed one after the other; None if it is no path."""
    parts = b",".join(prefixes).decode("latin-1").split(",")
    prefix = "".join(part.strip().rstrip("/") for part in parts)
    return prefix if is_path(prefix) else None
