"""On whose behalf a request is answered, and for how long that has a point."""

import math
import time
from contextvars import ContextVar
from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth import api_keys
from app.auth.rate_limit import Rates
from app.batching.jobs import ANONYMOUS, Claim
from app.errors import OverRateError, offence, refusal

HEADER = "X-Request-Timeout"
_NAME = HEADER.lower().encode()

_caller: ContextVar["Caller | None"] = ContextVar("caller", default=None)
_lent: ContextVar[Claim | None] = ContextVar("lent", default=None)


@dataclass(slots=True)
class Caller:
    """The client of the request that this task answers."""

    scope: Scope
    receive: Receive
    arrived: float
    """By the clock ``time.perf_counter``."""
    timeout: float
    """Seconds from then on, for every request."""
    admitted: bool = False
    """Whether its rate allowed the request. What has begun is not cut short."""

    def claim(self, images: int) -> Claim:
        """What a batcher is told of so many images.

        Raises ParameterError for a timeout that is not allowed, OverRateError past the rate.
        """
        claim = Claim(
            api_keys.client(HTTPConnection(self.scope)), self.arrived + self.seconds(), self._gone
        )
        rates: Rates = self.scope["app"].state.rates
        if not self.admitted and (wait := rates.wait(claim.client)):
            limit = f"{rates.rate:g} images a second are allowed on average"
            raise OverRateError(limit, math.ceil(wait))
        self.admitted = True
        rates.spend(claim.client, images)
        return claim

    def seconds(self) -> float:
        """How long the client waits. Raises ParameterError for what is not allowed."""
        told = [value for name, value in self.scope["headers"] if name == _NAME]
        if not told:
            return self.timeout
        text = ", ".join(value.decode("latin-1") for value in told)
        seconds = _number(text)
        if not 0 < seconds <= self.timeout:
            allowed = f"a number of seconds above 0, at most {self.timeout:g}"
            raise refusal(offence(HEADER, "header", text, allowed))
        return seconds

    async def _gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


class Callers:
    """ASGI middleware: whatever a request draws is drawn for its client, see ``claim``."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app, self._timeout = app, timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; the web server gives each a task, and so a context, of its own."""
        if scope["type"] == "http":
            _caller.set(Caller(scope, receive, time.perf_counter(), self._timeout))
        await self._app(scope, receive, send)


def claim(images: int) -> Claim:
    """On whose behalf this task draws so many images. Raises what ``Caller.claim`` does."""
    if lent := _lent.get():
        return lent
    caller = _caller.get()
    return caller.claim(images) if caller else ANONYMOUS


def check() -> None:
    """Raise ParameterError for a timeout that is not allowed, even where nothing is drawn."""
    if caller := _caller.get():
        caller.seconds()


def lend(claim: Claim) -> None:
    """Let this task draw on ``claim`` from now on, whoever began it."""
    _lent.set(claim)


def _number(text: str) -> float:
    """``text`` as a number, NaN where it is none."""
    try:
        # Python alone writes 1_0 for 10.
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
