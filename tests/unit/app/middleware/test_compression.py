import asyncio
import gzip
from typing import Any

import pytest
from starlette.types import Message

from app.errors import OverloadedError
from app.middleware.compression import SHORTEST, Compression, accepts_gzip
from app.middleware.encoders import Encoders

JSON_TYPE = (b"content-type", b"application/json")


@pytest.mark.parametrize(
    "header", ["gzip", "deflate, gzip;q=0.5, br", "x-gzip", "*", "*;q=0.1", "identity;q=0, GZIP"]
)
def test_gzip_is_accepted(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize("header", ["", "br", "gzip;q=0", "*, gzip;q=0.000", "*;q=0", "gzipped"])
def test_gzip_is_not_accepted(header: str) -> None:
    assert not accepts_gzip(header)


def sent(*bodies: dict[str, Any], headers: list[tuple[bytes, bytes]]) -> list[Message]:
    """What a client that accepts gzip receives of a response in these pieces."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": headers}
    first, *rest = ({"type": "http.response.body", **body} for body in bodies)
    compression = Compression(Encoders(1, 2**20))
    if compression.concerns(start):
        scope = {"type": "http", "headers": [(b"accept-encoding", b"gzip")]}
        first = dict(asyncio.run(compression.apply(scope, start, first)))
    return [start, first, *rest]


def test_a_response_in_pieces_is_passed_on_piece_by_piece() -> None:
    pieces = [{"body": b"x" * SHORTEST, "more_body": True}, {"body": b"y" * SHORTEST}]
    messages = sent(*pieces, headers=[JSON_TYPE])
    assert [message.get("body") for message in messages[1:]] == [piece["body"] for piece in pieces]
    assert b"content-encoding" not in dict(messages[0]["headers"])


def test_encoded_texts_and_short_texts_are_unchanged() -> None:
    encoded = sent({"body": b"x" * SHORTEST}, headers=[JSON_TYPE, (b"content-encoding", b"br")])
    assert encoded[1]["body"] == b"x" * SHORTEST
    short = sent({"body": b"x" * (SHORTEST - 1)}, headers=[JSON_TYPE])
    assert short[1]["body"] == b"x" * (SHORTEST - 1)
    long = sent({"body": b"x" * SHORTEST}, headers=[JSON_TYPE])
    assert gzip.decompress(long[1]["body"]) == b"x" * SHORTEST


@pytest.mark.parametrize("busy", [False, True])
def test_a_very_long_text_is_sent_as_it_is_where_the_encoders_are_busy(
    monkeypatch: pytest.MonkeyPatch, *, busy: bool
) -> None:
    def check(*_: object) -> None:
        if busy:
            raise OverloadedError("the server is busy", 1)

    monkeypatch.setattr(Encoders, "check", check)
    start, message = sent({"body": b"x" * 2**21}, headers=[JSON_TYPE])
    headers = dict(start["headers"])
    assert headers[b"vary"] == b"Accept-Encoding"
    assert (b"content-encoding" not in headers) == busy
    assert (message["body"] if busy else gzip.decompress(message["body"])) == b"x" * 2**21
