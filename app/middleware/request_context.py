"""The context of one request: its client, its deadline, its statistics and its leases."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, Self

from starlette.requests import Request
from starlette.types import Receive, Scope

from app.auth.api_keys import Authenticator
from app.batching.jobs import Claim
from app.errors import invalid, parameter_error
from app.observability.request_stats import RequestStats

TIMEOUT_HEADER = "X-Request-Timeout"
REQUEST_ID_HEADER = "X-Request-ID"

_TIMEOUT, _REQUEST_ID = TIMEOUT_HEADER.lower().encode(), REQUEST_ID_HEADER.lower().encode()
PLAIN_NUMBER = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HTTP_1 = ("1.1", "1.0")
# Other characters may be an attack on the log, or on a page that shows it.
_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Leased(Protocol):
    """Something that is kept alive while a request has a lease on it."""

    def acquire(self) -> None:
        """Take a lease."""

    def release(self) -> None:
        """Give it back."""


@dataclass(slots=True)
class RequestContext:
    """What is known about one request besides its parameters.

    Middleware creates it; routes pass it on to what they call.
    """

    scope: Scope
    receive: Receive
    headers: Mapping[bytes, bytes]
    """By name in lower case; of a header that occurs several times, the first value."""
    authenticator: Authenticator
    longest_timeout: float
    """Seconds; also the timeout of a request that names none."""
    stats: RequestStats
    rate_checked: bool = False
    """Whether the rate limit has let this request pass. A request that has begun may finish."""
    prepaid: float = 0.0
    """What the client has been charged before the cost of the request was known, in images."""
    needs_key: bool = False
    """Whether the response is only for clients with a key, so that no shared cache may store it."""
    _client: str = ""
    _leases: list[Leased] = field(default_factory=list)

    @classmethod
    def open(
        cls, authenticator: Authenticator, timeout: float, scope: Scope, receive: Receive
    ) -> Self:
        """The context of a request that has just arrived; ``timeout`` is its longest."""
        headers = dict(reversed(scope["headers"]))
        stats = RequestStats(_request_id(headers))
        return cls(scope, receive, headers, authenticator, timeout, stats)

    @property
    def client(self) -> str:
        """The name under which the client's requests are counted."""
        if not self._client:
            self._client = self.authenticator.client(self.scope)
        return self._client

    @property
    def path(self) -> str:
        """The path of the request without a proxy's prefix."""
        path: str = self.scope["path"]
        return path

    @property
    def root_path(self) -> str:
        """The prefix that the public path has in addition; empty without one."""
        root_path: str = self.scope.get("root_path", "")
        return root_path

    @property
    def public_url(self) -> str:
        """The URL below which clients find this server's paths; no slash ends it."""
        return str(Request(self.scope).base_url).rstrip("/")

    @property
    def has_body(self) -> bool:
        """Whether a body comes with the request; in HTTP/1, its headers say so (RFC 9112, 6.3)."""
        headers = self.headers
        if b"transfer-encoding" in headers or self.scope.get("http_version") not in _HTTP_1:
            return True
        return headers.get(b"content-length", b"0") != b"0"

    def header(self, name: bytes) -> str | None:
        """The value of the header with this name, which is in lower case; None without one.

        Several of them count as one, with commas between their values (RFC 9110, section 5.3).
        """
        value = self.headers.get(name)
        if value is None:
            return None
        received = self.scope["headers"]
        if len(self.headers) < len(received):  # some header occurs several times
            value = b", ".join(value for key, value in received if key == name)
        return value.decode("latin-1")

    def timeout(self) -> float:
        """The seconds that the client waits. Raises ParameterError if its header is not allowed."""
        text = self.header(_TIMEOUT)
        if text is None:
            return self.longest_timeout
        seconds = _number(text)
        if not 0 < seconds <= self.longest_timeout:
            allowed = f"a number of seconds above 0, at most {self.longest_timeout:g}"
            raise parameter_error(invalid(TIMEOUT_HEADER, "header", text, allowed))
        return seconds

    def claim(self) -> Claim:
        """The client and the deadline, for the batcher. Raises ParameterError as ``timeout``."""
        return Claim(self.client, self.stats.began + self.timeout(), self._disconnected)

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def lease(self, leased: Leased) -> None:
        """Keep ``leased`` alive until the request ends."""
        leased.acquire()
        self._leases.append(leased)

    def close(self) -> None:
        """Give all leases back: the request has ended."""
        for leased in self._leases:
            leased.release()
        self._leases.clear()


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's request id if it is a safe one, else a new one."""
    received = headers.get(_REQUEST_ID)
    if received and _SAFE_ID.fullmatch(received):
        return received.decode()
    # It is unique, but no secret: asking the operating system took a tenth of a health check.
    return f"{random.getrandbits(64):016x}"


def context_of(scope: Scope) -> RequestContext:
    """The context that middleware has put into the request's ``scope``."""
    context: RequestContext = scope["state"]["context"]
    return context


def _number(text: str) -> float:
    """``text`` as a number; NaN if it is not a plain decimal one."""
    return float(text) if PLAIN_NUMBER.fullmatch(text) else math.nan
