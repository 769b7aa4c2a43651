"""Forms with files, in pieces of any size."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.api import multipart
from app.api.multipart import FormError, Part

TYPE = "multipart/form-data; boundary=edge"
FILE = b'Content-Disposition: form-data; name="images"; filename="a.png"\r\nContent-Type: image/png'
BODY = (
    b"--edge\r\n" + FILE + b"\r\n\r\nfirst\r\n--edg\r\n"
    b'--edge\r\ncontent-disposition: form-data; name="other"\r\n\r\nsecond\r\n--edge--\r\n'
)


def parse(body: bytes, size: int = 1000, most: int = 4, content_type: str = TYPE) -> list[Part]:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    return asyncio.run(multipart.parts(pieces(), content_type, most))


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_parts_have_a_name_and_a_content(size: int) -> None:
    first, second = parse(BODY, size)
    assert (first.name, first.is_file, first.content) == ("images", True, b"first\r\n--edg")
    assert (second.name, second.is_file, second.content) == ("other", False, b"second")


def test_the_content_may_be_any_bytes() -> None:
    content = bytes(range(256)) * 300 + b"\r\n--edg" + b"\r\n" * 99
    (part,) = parse(b"--edge\r\n" + FILE + b"\r\n\r\n" + content + b"\r\n--edge--", 999)
    assert part.content == content


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (BODY, "multipart/form-data", "Content-Type has no boundary"),
        (BODY, "multipart/form-data; boundary=", "Content-Type has no boundary"),
        (BODY, "multipart/form-data; boundary=other", "it is malformed"),
        (b"", TYPE, "it ends before its last boundary"),
        (BODY[:-6], TYPE, "it ends before its last boundary"),
        (BODY[:70], TYPE, "it ends before its last boundary"),
        (b"--edge\r\nContent-Type: image/png\r\n\r\nx\r\n--edge--", TYPE, "a part has no name"),
        (b"--edge\r\n" + 5 * (FILE + b"\r\n\r\nx\r\n--edge\r\n"), TYPE, "it has more than 4 parts"),
        (b"--edge\r\n" + 9999 * b"A: b\r\n", TYPE, "it is malformed"),
    ],
)
def test_other_bodies_are_refused(body: bytes, content_type: str, reason: str) -> None:
    with pytest.raises(FormError, match=reason):
        parse(body, content_type=content_type)
