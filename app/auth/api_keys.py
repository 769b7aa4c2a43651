"""API keys (RFC 6750, section 2.1), and the name under which a client is counted."""

import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.types import Scope

from app.auth.addresses import client_network
from app.errors import ForbiddenError, UnauthorizedError
from app.settings import Settings

COOKIE: Final = "dcgan_key"
"""Name of the cookie that stands for the page's key in ``<img>`` requests; not the key itself."""


class KeySet:
    """A set of keys, of which only hashes are stored."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        secrets = [key.get_secret_value().encode() for key in keys]
        self._headers = [sha256(secret).digest() for secret in secrets]
        self._cookies = [cookie(secret).encode() for secret in secrets]

    def __bool__(self) -> bool:
        return bool(self._headers)

    def owner(self, connection: HTTPConnection) -> str | None:
        """A short name of the request's key; None if the key is missing or unknown.

        It compares with every key, so that the time reveals nothing about which one matched.
        """
        if (secret := presented(connection)) is not None:
            found, known = sha256(secret).digest(), self._headers
        else:
            found, known = connection.cookies.get(COOKIE, "").encode(), self._cookies
        places = [place for place, one in enumerate(known) if hmac.compare_digest(one, found)]
        return self._headers[places[0]].hex()[:12] if places else None


class Authenticator:
    """Decides who may generate images and who may administer the server."""

    def __init__(self, settings: Settings) -> None:
        self.drawing = KeySet(settings.api_keys)
        self.administration = KeySet(settings.admin_keys)

    def require_key(self, connection: HTTPConnection) -> None:
        """Raise UnauthorizedError if the server has API keys and the request has none of them."""
        if self.drawing and self.drawing.owner(connection) is None:
            invalid_key = presented(connection) is not None
            raise UnauthorizedError("this needs an API key", invalid_key=invalid_key)

    def require_administrator(self, connection: HTTPConnection) -> None:
        """Raise ForbiddenError if administration is disabled, UnauthorizedError without its key.

        A request from the same machine needs a key too: a proxy's requests come from there, and so
        do those of every web page that the machine's owner visits.
        """
        if not self.administration:
            raise ForbiddenError("administration is disabled; DCGAN_ADMIN_KEYS enables it")
        has_key = presented(connection) is not None
        if not has_key or self.administration.owner(connection) is None:
            raise UnauthorizedError("this needs an administrator's key", invalid_key=has_key)

    def client(self, scope: Scope) -> str:
        """The name under which a request's client is counted: its key's hash, or its address.

        An unknown key does not name a client; otherwise one client could pretend to be many. The
        same holds for the addresses of an IPv6 network.
        """
        if self.drawing and (owner := self.drawing.owner(HTTPConnection(scope))) is not None:
            return f"key:{owner}"
        peer = scope.get("client")
        return f"address:{client_network(peer[0] if peer else '')}"


def presented(connection: HTTPConnection) -> bytes | None:
    """The key in ``Authorization: Bearer`` or ``X-API-Key``; None without one."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip().encode("latin-1")
    key = connection.headers.get("x-api-key")
    return None if key is None else key.encode("latin-1")


def cookie(secret: bytes) -> str:
    """The cookie's value for a key, from which the key cannot be computed."""
    return hmac.new(secret, b"cookie of the page", sha256).hexdigest()
