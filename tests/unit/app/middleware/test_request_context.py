import asyncio

import pytest
from pydantic import SecretStr
from starlette.types import Message, Receive

from app.auth.api_keys import Authenticator
from app.errors import ParameterError
from app.middleware.request_context import RequestContext
from app.observability.request_stats import RequestStats
from app.settings import Settings

KEY = "sixteen-letters-x"


async def no_message() -> Message:
    raise AssertionError


def context(
    *headers: tuple[bytes, bytes], receive: Receive = no_message, began: float = 0.0
) -> RequestContext:
    """The context of a request with these headers; its longest timeout is 9 seconds."""
    scope = {"type": "http", "headers": list(headers), "client": ("192.0.2.1", 5)}
    authenticator = Authenticator(Settings(api_keys=(SecretStr(KEY),)))
    stats = RequestStats("id", began)
    return RequestContext(scope, receive, dict(headers), authenticator, 9.0, stats)


def test_the_client_is_named_by_its_key_or_its_address() -> None:
    assert context().client == "address:192.0.2.1"
    assert context((b"x-api-key", KEY.encode())).client.startswith("key:")


@pytest.mark.parametrize(("value", "seconds"), [(None, 9), (b"2.5", 2.5), (b"9", 9)])
def test_the_header_may_shorten_the_timeout(value: bytes | None, seconds: float) -> None:
    headers = [] if value is None else [(b"x-request-timeout", value)]
    assert context(*headers).timeout() == seconds


@pytest.mark.parametrize(
    "text", ["0", "-1", "9.1", "nan", "inf", "soon", "", "1, 2", "1_0", "\xb2"]
)
def test_an_invalid_timeout_is_refused(text: str) -> None:
    values = text.encode("latin-1").split(b", ")  # one header each
    with pytest.raises(ParameterError) as refused:
        context(*((b"x-request-timeout", value) for value in values)).claim()
    (error,) = refused.value.errors
    assert (error.parameter, error.place, error.value) == ("X-Request-Timeout", "header", text)
    assert error.allowed == "a number of seconds above 0, at most 9"


def test_a_claim_has_the_client_and_the_deadline() -> None:
    claim = context((b"x-request-timeout", b"2"), began=100.0).claim()
    assert (claim.client, claim.deadline) == ("address:192.0.2.1", 102.0)


def test_a_claim_notices_that_the_client_disconnects() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return messages.pop(0)

    async def scenario() -> None:
        disconnected = context(receive=receive).claim().disconnected
        assert disconnected
        await disconnected()

    asyncio.run(scenario())
    assert messages == []


class Counter:
    """Counts its leases."""

    leases = 0

    def acquire(self) -> None:
        self.leases += 1

    def release(self) -> None:
        self.leases -= 1


def test_leases_are_released_once_when_the_request_ends() -> None:
    request, first, second = context(), Counter(), Counter()
    for leased in (first, second, first):
        request.lease(leased)
    assert (first.leases, second.leases) == (2, 1)
    request.close()
    request.close()
    assert (first.leases, second.leases) == (0, 0)
