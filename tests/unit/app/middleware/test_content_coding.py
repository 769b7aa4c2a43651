"""Content codings of request bodies."""

import gzip
import zlib

import pytest

from app.errors import ContentCodingError, ParameterError
from app.middleware import content_coding
from app.middleware.content_coding import Decompressor


@pytest.mark.parametrize(
    ("values", "coding"),
    [
        ([], "identity"),
        ([""], "identity"),
        (["identity"], "identity"),
        (["GZip"], "gzip"),
        (["x-gzip"], "gzip"),
        (["identity, gzip"], "gzip"),
        (["deflate", "identity"], "deflate"),
    ],
)
def test_a_body_has_one_coding_or_none(values: list[str], coding: str) -> None:
    assert content_coding.coding(values) == coding


@pytest.mark.parametrize("values", [["br"], ["gzip, gzip"], ["gzip", "deflate"], ["gzip;q=1"]])
def test_any_other_coding_is_refused_with_those_that_are_read(values: list[str]) -> None:
    with pytest.raises(ContentCodingError) as refused:
        content_coding.coding(values)
    text = ", ".join(values)
    assert refused.value.detail == (
        f"Content-Encoding is '{text}' but must be one of identity, gzip, deflate"
    )
    assert refused.value.status == 415
    assert refused.value.headers == {"Accept-Encoding": "gzip, deflate"}


def taken(decompressor: Decompressor) -> list[bytes]:
    pieces = []
    while decompressor.is_waiting:
        pieces.append(decompressor.take())
    return pieces


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 1000])
@pytest.mark.parametrize("received", [1, 7, 10**6])
def test_pieces_of_any_size_are_decompressed_into_short_ones(
    compress: type[bytes], length: int, received: int
) -> None:
    content = b"x" * length
    compressed = compress(content)
    decompressor, pieces = Decompressor(10), []
    for k in range(0, len(compressed), received):
        decompressor.add(compressed[k : k + received])
        pieces += taken(decompressor)
    decompressor.check_end()
    assert b"".join(pieces) == content
    assert all(len(piece) <= 10 for piece in pieces)


def test_an_incomplete_body_is_an_error_at_its_end() -> None:
    decompressor = Decompressor()
    decompressor.add(gzip.compress(b"content")[:-1])
    assert taken(decompressor) == [b"content"]
    with pytest.raises(ParameterError, match="cannot be decompressed: it is incomplete"):
        decompressor.check_end()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "incorrect header check"),
        (gzip.compress(b"a", mtime=0) + b"b", "data follows its end"),
        (gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), "data follows its end"),
    ],
)
def test_a_damaged_body_is_an_error(body: bytes, reason: str) -> None:
    decompressor = Decompressor()
    decompressor.add(body)
    with pytest.raises(ParameterError, match=f"cannot be decompressed: .*{reason}"):
        taken(decompressor)
