import asyncio
import gzip

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from app.errors import BodyTooLargeError, ParameterError
from app.middleware import body_limit
from app.middleware.body_limit import LONGEST, BodyBound, BodyLimit
from app.middleware.content_coding import Decompressor

SCOPE: Scope = {"type": "http", "path": "/", "headers": []}
GZIP: Scope = {**SCOPE, "headers": [(b"content-encoding", b"gzip")]}


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
    return asyncio.run(length(BodyLimit(bound).limited(SCOPE, client.send)))


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

    assert asyncio.run(length(BodyLimit(lambda _: LONGEST).limited(SCOPE, gone))) == 0


def decompressed(bound: BodyBound, *pieces: bytes) -> tuple[int, int]:
    """The length of a body in gzip once it is decompressed, and how many pieces were received."""
    left = list(pieces)

    async def receive() -> Message:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    found = asyncio.run(length(BodyLimit(bound).limited(GZIP, receive)))
    return found, len(pieces) - len(left)


def test_what_counts_is_the_length_of_the_decompressed_body() -> None:
    content = gzip.compress(b" " * LONGEST)
    assert decompressed(lambda _: LONGEST, content[:9], content[9:]) == (LONGEST, 2)
    assert decompressed(lambda _: LONGEST, content, b"") == (LONGEST, 2)
    longer = gzip.compress(b" " * (LONGEST + 1))
    assert decompressed(lambda _: LONGEST + 1, longer) == (LONGEST + 1, 1)
    with pytest.raises(BodyTooLargeError, match=str(LONGEST)):
        decompressed(lambda _: LONGEST, longer)


def test_a_body_is_decompressed_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths, take = [], Decompressor.take

    def counted(decompressor: Decompressor) -> bytes:
        piece = take(decompressor)
        lengths.append(len(piece))
        return piece

    monkeypatch.setattr(Decompressor, "take", counted)
    with pytest.raises(BodyTooLargeError):
        decompressed(lambda _: LONGEST, gzip.compress(b" " * 2**26))
    assert LONGEST < sum(lengths) < 2**20


def test_a_compressed_body_that_ends_early_is_an_error() -> None:
    content = gzip.compress(b"content")
    for pieces in ([content[:-1]], [content[:-1], b""]):
        with pytest.raises(ParameterError, match="it is incomplete"):
            decompressed(lambda _: LONGEST, *pieces)


def test_a_route_that_bounds_its_body_itself_also_decompresses_it() -> None:
    content = gzip.compress(b" " * LONGEST)
    assert decompressed(lambda _: None, content) == (len(content), 1)


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
