import asyncio
from collections.abc import Callable

import pytest

from app.server.joined import Joined

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"image"


class Written(asyncio.Transport):
    """A transport that keeps what each call sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def sent(use: Callable[[Joined], None], *, later: bytes = b"") -> list[bytes]:
    """What a transport is told to send by ``use``, and by ``later`` when that was a moment ago."""
    inner = Written()

    async def answer() -> None:
        joined = Joined(inner, asyncio.get_running_loop())
        use(joined)
        await asyncio.sleep(0)
        if later:
            joined.write(later)

    asyncio.run(answer())
    return inner.sent


def test_a_head_is_sent_with_its_body() -> None:
    assert sent(lambda joined: (joined.write(HEAD), joined.write(BODY))[0]) == [HEAD + BODY]


def test_a_body_that_comes_later_does_not_hold_the_head_back() -> None:
    assert sent(lambda joined: joined.write(HEAD), later=BODY) == [HEAD, BODY]


def test_only_the_head_waits() -> None:
    def use(joined: Joined) -> None:
        for data in (HEAD, BODY, BODY):
            joined.write(data)

    assert sent(use, later=BODY) == [HEAD + BODY, BODY, BODY]


def test_a_long_body_is_not_copied() -> None:
    body = bytes(2**17)
    assert sent(lambda joined: (joined.write(HEAD), joined.write(body))[0]) == [HEAD, body]


def test_an_answer_without_a_body_is_sent() -> None:
    assert sent(lambda joined: (joined.write(HEAD), joined.write(b""))[0]) == [HEAD]


@pytest.mark.parametrize("data", [[], [HEAD], [HEAD, BODY]])
def test_what_was_written_is_sent_before_it_closes(data: list[bytes]) -> None:
    def use(joined: Joined) -> None:
        for one in data:
            joined.write(one)
        assert not joined.is_closing()
        joined.close()
        assert joined.is_closing()

    assert b"".join(sent(use)) == b"".join(data)
