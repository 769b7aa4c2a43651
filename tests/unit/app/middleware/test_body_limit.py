import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from app.errors import BodyTooLargeError, ParameterError
from app.middleware import body_limit
from app.middleware.body_limit import LONGEST, BodyBound, BodyLimit


async def length(receive: Receive) -> int:
    """Reads a body to its end, as FastAPI does; returns its length."""
    read, more = 0, True
    while more:
        message = await receive()
        read += len(message.get("body", b""))
        more = message.get("more_body", False)
    return read


class Client:
    """Sends a number of pieces of 1000 bytes, one per call."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces

    async def send(self) -> Message:
        self.left -= 1
        return {"type": "http.request", "body": b" " * 1000, "more_body": self.left > 0}


def read(client: Client, bound: BodyBound = lambda _: LONGEST) -> int:
    """Read the body that ``client`` sends; return its length."""
    return asyncio.run(length(BodyLimit(bound).limited("/", client.send)))


def test_a_body_in_pieces_is_read_to_its_end() -> None:
    assert read(Client(LONGEST // 1000)) == LONGEST // 1000 * 1000


def test_a_body_is_read_no_further_than_the_limit() -> None:
    client = Client(10**9)
    with pytest.raises(BodyTooLargeError, match=str(LONGEST)):
        read(client)
    assert 10**9 - client.left == LONGEST // 1000 + 1


def test_a_path_without_a_bound_reads_any_body() -> None:
    assert read(Client(5 * LONGEST // 1000), lambda _: None) == 5 * LONGEST // 1000 * 1000


def test_the_bound_of_the_path_decides_about_long_bodies() -> None:
    pieces = 2 * LONGEST // 1000
    bounds = {"/": pieces * 1000}
    assert read(Client(pieces), bounds.get) == pieces * 1000
    with pytest.raises(BodyTooLargeError, match=str(pieces * 1000)):
        read(Client(pieces + 1), bounds.get)


def test_a_request_without_a_body_is_passed_on() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    assert asyncio.run(length(BodyLimit(lambda _: LONGEST).limited("/", gone))) == 0


def test_a_body_that_ends_before_its_announced_length_is_an_error() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    scope: Scope = {"type": "http", "headers": [(b"content-length", b"8")]}
    with pytest.raises(ParameterError, match="the body ends before its announced length"):
        asyncio.run(body_limit.read(Request(scope, receive), 100))
