"""Reads a version folder from a web server, by httpx."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from app.exchange.address import WebFolder, is_loopback
from app.exchange.store import ExchangeError, MissingFileError, bounded, check_size, reason, require

if TYPE_CHECKING:
    import httpx

_REDIRECTS: Final = 5
_SECONDS: Final = 30.0
"""For connecting, and between two parts of a response."""


class WebStore:
    """A folder that a web server offers. User names and passwords are those of ~/.netrc."""

    def __init__(self, folder: WebFolder) -> None:
        """Raises ExchangeError if httpx is not installed."""
        require("httpx", "https", "https")
        self._folder = folder

    def address(self, file: str) -> str:
        """The URL of a file."""
        return self._folder.file(file)

    def read(self, file: str, limit: int) -> bytes:
        """The content of a file, as ``Store.read``."""
        import httpx

        url = self.address(file)
        try:
            with self._client() as client, client.stream("GET", url) as response:
                status = f"{response.status_code} {response.reason_phrase}".strip()
                if response.status_code in {403, 404, 410}:
                    raise MissingFileError(f"{url}: the server answered {status}")
                if not response.is_success:
                    raise ExchangeError(f"{url}: the server answered {status}")
                check_size(int(response.headers.get("Content-Length", 0)), url, limit)
                return bounded(response.iter_bytes(), url, limit)
        # Of a host that is no name: InvalidURL, or UnicodeError from the lookup.
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise ExchangeError(f"{url}: cannot be read: {reason(error)}") from error

    def _client(self) -> "httpx.Client":
        import httpx

        return httpx.Client(
            auth=_netrc(),
            timeout=_SECONDS,
            follow_redirects=True,
            max_redirects=_REDIRECTS,
            event_hooks={"request": [self._check(self._folder.secure)]},
        )

    def _check(self, secure: bool) -> "Callable[[httpx.Request], None]":
        """A function that refuses requests, after a redirect, that are not as safe as the first."""

        def check(request: "httpx.Request") -> None:
            url = request.url
            safe = url.scheme == "https" or (not secure and is_loopback(url.host))
            if not safe:
                raise ExchangeError(
                    f"{self._folder.url}: redirects to {url.copy_with(query=None)}, "
                    "but must stay with https://"
                )

        return check


def _netrc() -> "httpx.NetRCAuth | None":
    """The user names and passwords of ~/.netrc, if it exists."""
    import netrc

    import httpx

    try:
        return httpx.NetRCAuth()
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:
        raise ExchangeError(f"{error.filename}: cannot be used: {error.msg}") from error
