import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.http_connections import REQUEST, FakeTransport, connections_to

OK = b"HTTP/1.1 200 OK\r\n"


class RecordingTransport(FakeTransport):
    """Records what each call sends."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        if data:
            self.sent.append(bytes(data))


def answered(
    app: ASGIApp, *requests: bytes, transport: RecordingTransport | None = None
) -> RecordingTransport:
    """The transport of a connection after ``requests``, one after the other."""
    transport = transport or RecordingTransport()

    async def serve() -> None:
        connection = connections_to(app, date_header=False)()
        connection.connection_made(transport)
        for request in requests or [REQUEST]:
            connection.data_received(request)
            while connection.tasks:  # noqa: ASYNC110 # uvicorn has no event for it
                await asyncio.sleep(0)
        connection.connection_lost(None)

    asyncio.run(serve())
    transport.release()
    return transport


def test_head_and_body_are_sent_together() -> None:
    transport = answered(Response(b"image", 201, {"X-Own": "1"}, "image/png"))
    head = b"HTTP/1.1 201 Created\r\nx-own: 1\r\ncontent-length: 5\r\ncontent-type: image/png\r\n"
    assert transport.sent == [head + b"\r\nimage"]


def test_requests_of_one_connection_are_answered_one_after_the_other() -> None:
    transport = answered(PlainTextResponse("text"), REQUEST, REQUEST, REQUEST + REQUEST)
    assert len(transport.sent) == 4
    assert len(set(transport.sent)) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_that_has_no_body_is_sent(status: int) -> None:
    (sent,) = answered(Response(status_code=status, headers={"ETag": '"x"'})).sent
    assert sent.startswith(b"HTTP/1.1 %d " % status)
    assert sent.endswith(b'etag: "x"\r\n\r\n')


def test_the_response_to_a_head_request_has_no_body() -> None:
    sent = b"".join(answered(Response(b"image"), REQUEST.replace(b"GET", b"HEAD")).sent)
    assert sent == OK + b"content-length: 5\r\n\r\n"


def test_a_long_body_is_not_copied() -> None:
    head, body = answered(Response(bytes(2**17))).sent
    assert head == OK + b"content-length: 131072\r\n\r\n"
    assert body == bytes(2**17)


def test_a_late_body_does_not_delay_the_head() -> None:
    transport, early = RecordingTransport(), list[bytes]()

    async def pieces() -> AsyncIterator[bytes]:
        early.extend(transport.sent)
        yield b"piece"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(pieces())(scope, receive, send)

    answered(app, transport=transport)
    assert early == [OK + b"transfer-encoding: chunked\r\n\r\n"]
    assert transport.sent[1:] == [b"5\r\npiece\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize("close", ["request", "response"])
def test_a_connection_that_shall_close_is_closed_and_says_so(close: str) -> None:
    headers = {"Connection": "close"} if close == "response" else {}
    end = b"Connection: close\r\n\r\n" if close == "request" else b"\r\n"
    transport = answered(Response(b"image", headers=headers), REQUEST[:-2] + end)
    assert transport.closed
    sent = b"".join(transport.sent)
    assert sent.count(b"connection: close\r\n") == 1
    assert sent.endswith(b"\r\n\r\nimage")


@pytest.mark.parametrize("value", [b"a\r\nx-injected: b", b"a\nb", b"a\0b", b"\x7f"])
def test_a_header_with_a_control_character_is_not_sent(value: bytes) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5"), (b"x-own", value)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"image"})

    transport = answered(app)
    assert transport.closed
    assert not transport.sent


@pytest.mark.parametrize("body", [b"", b"imag", b"images"])
def test_a_body_of_another_length_than_announced_closes_the_connection(body: bytes) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    assert answered(app).closed


def test_a_failure_before_the_body_is_500() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        raise ZeroDivisionError

    transport = answered(app)
    assert b"".join(transport.sent).startswith(b"HTTP/1.1 500 ")
