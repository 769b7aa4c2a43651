import asyncio
from collections.abc import Callable

import pytest

from app.server.protocol import CoalescingTransport

HEAD, BODY = b"HTTP/1.1 200 OK\r\n\r\n", b"image"


class RecordingTransport(asyncio.Transport):
    """Records what each call sends."""

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


def sent(use: Callable[[CoalescingTransport], None], *, later: bytes = b"") -> list[bytes]:
    """What the inner transport sends for ``use``, and for ``later`` in the loop's next turn."""
    inner = RecordingTransport()

    async def respond() -> None:
        transport = CoalescingTransport(inner, asyncio.get_running_loop())
        use(transport)
        await asyncio.sleep(0)
        if later:
            transport.write(later)

    asyncio.run(respond())
    return inner.sent


def writing(*pieces: bytes) -> Callable[[CoalescingTransport], None]:
    def use(transport: CoalescingTransport) -> None:
        for piece in pieces:
            transport.write(piece)

    return use


def test_the_head_is_sent_together_with_the_body() -> None:
    assert sent(writing(HEAD, BODY)) == [HEAD + BODY]


def test_a_late_body_does_not_delay_the_head() -> None:
    assert sent(writing(HEAD), later=BODY) == [HEAD, BODY]


def test_only_the_head_is_held_back() -> None:
    assert sent(writing(HEAD, BODY, BODY), later=BODY) == [HEAD + BODY, BODY, BODY]


def test_a_long_body_is_not_copied() -> None:
    body = bytes(2**17)
    assert sent(writing(HEAD, body)) == [HEAD, body]


def test_a_response_without_a_body_is_sent() -> None:
    assert sent(writing(HEAD, b"")) == [HEAD]


@pytest.mark.parametrize("data", [[], [HEAD], [HEAD, BODY]])
def test_written_data_is_sent_before_the_transport_closes(data: list[bytes]) -> None:
    def use(transport: CoalescingTransport) -> None:
        writing(*data)(transport)
        assert not transport.is_closing()
        transport.close()
        assert transport.is_closing()

    assert b"".join(sent(use)) == b"".join(data)
