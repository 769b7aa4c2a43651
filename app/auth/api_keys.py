"""Who asks, and whether they may: API keys (RFC 6750, section 2.1), or else addresses."""

import hmac
import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import Final

from pydantic import SecretStr
from starlette.requests import HTTPConnection

from app.errors import AccessError, ForbiddenError
from app.settings import Settings

COOKIE: Final = "dcgan_key"
"""Tells the page's key with every request, those of ``<img>`` included; never the key itself."""


class Keys:
    """Some keys, of which nothing is kept but hashes."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        secrets = [key.get_secret_value().encode() for key in keys]
        self._headers = [sha256(secret).digest() for secret in secrets]
        self._cookies = [cookie(secret).encode() for secret in secrets]

    def __bool__(self) -> bool:
        return bool(self._headers)

    def owner(self, connection: HTTPConnection) -> str | None:
        """A short name of the key that comes with a request; None for no or another key.

        All keys are looked at whichever it is, so that the time it takes tells nothing.
        """
        if (secret := presented(connection)) is not None:
            found, known = sha256(secret).digest(), self._headers
        else:
            found, known = connection.cookies.get(COOKIE, "").encode(), self._cookies
        places = [place for place, one in enumerate(known) if hmac.compare_digest(one, found)]
        return self._headers[places[0]].hex()[:12] if places else None


class Access:
    """Who may draw, and who may administer."""

    def __init__(self, settings: Settings) -> None:
        self.drawing = Keys(settings.api_keys)
        self.administering = Keys(settings.admin_keys)

    def admit(self, connection: HTTPConnection) -> None:
        """Raise AccessError where drawing takes a key that does not come with the request."""
        if self.drawing and self.drawing.owner(connection) is None:
            raise AccessError("this takes an API key", wrong=presented(connection) is not None)

    def admit_administrator(self, connection: HTTPConnection) -> None:
        """Raise AccessError without an administrator's key, ForbiddenError where there is none.

        To come from the same machine is not enough: any page that its owner visits, and every
        request that a proxy passes on, comes from there too.
        """
        if not self.administering:
            raise ForbiddenError("administration is off; DCGAN_ADMIN_KEYS turns it on")
        wrong = presented(connection) is not None
        if not wrong or self.administering.owner(connection) is None:
            raise AccessError("this takes an administrator's key", wrong=wrong)


def client(connection: HTTPConnection) -> str:
    """Who asks, for as long as the server runs: the key's hash where it is known, else the address.

    A key that is not one of the server's names nobody, or else anybody could be many. So could
    who has an IPv6 network to themselves: its first 64 bits are the address (RFC 4291, 2.5.1).
    """
    access: Access = connection.app.state.access
    if access.drawing and (owner := access.drawing.owner(connection)) is not None:
        return f"key:{owner}"
    return _address(connection.client.host if connection.client else "")


@lru_cache(1024)
def _address(host: str) -> str:
    with suppress(ValueError):  # an IPv4 address, or what a proxy calls its client
        host = str(ipaddress.IPv6Network((host.partition("%")[0], 64), strict=False))
    return f"address:{host}"


def presented(connection: HTTPConnection) -> bytes | None:
    """The key in ``Authorization: Bearer`` or ``X-API-Key``; None without."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip().encode("latin-1")
    key = connection.headers.get("x-api-key")
    return None if key is None else key.encode("latin-1")


def cookie(secret: bytes) -> str:
    """What stands for a key in a browser, which cannot be turned back into it."""
    return hmac.new(secret, b"cookie of the page", sha256).hexdigest()
