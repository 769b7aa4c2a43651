"""One client's connection, with the bounds that uvicorn sets none to."""

import asyncio
import select
from dataclasses import dataclass
from typing import Any, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api import problems
from app.errors import (
    AppError,
    CrowdedError,
    LongHeadError,
    LongUrlError,
    MalformedError,
    SlowError,
)
from app.server.joined import Joined

LONGEST_URL, LONGEST_HEAD = 2**13, 2**15
"""Bytes."""
MOST_HEADERS = 100
_LATE = 3
"""Looks at one request, half of ``patience`` apart: the first may be just after its beginning."""


@dataclass(frozen=True)
class Limits:
    """What a process allows those that connect to it."""

    connections: int
    patience: float
    """Seconds for a request to arrive, and for an answer to move on."""


class Ending(Protocol):
    """Who knows whether this process is about to end."""

    @property
    def began(self) -> bool:
        """Whether every answer is its connection's last."""


class _RefusedError(Exception):
    """Ends the parser's work."""


class Connection(HttpToolsProtocol):
    """uvicorn's protocol, but what a client may send, and how slowly, is bounded.

    What is too much is answered as soon as it is known. Slowness is looked for by a timer that
    costs a request nothing, so that it is found after ``patience`` or half as long again. Looks are
    counted, not the time: while this process as a whole stands still, nobody is slow.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """``app_state`` is the lifespan's state, with ``limits`` and ``ending``."""
        super().__init__(config, server_state, app_state, _loop)
        self._limits: Limits = app_state["limits"]
        self._ending: Ending = app_state["ending"]
        self._refused: AppError | None = None
        self._looks: int | None = None
        """How often a request was seen that is arriving; None while there is none."""
        self._framing = 0
        """Bytes of the request that is arriving, less those of its body."""
        self._unread = 0
        self._deaf = False
        """Whether nothing more is read, for what came first is yet to be answered."""
        self.url = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._looks = 0
        self.loop.call_later(self._limits.patience / 2, self._look)
        if len(self.connections) > 2 * self._limits.connections:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived. A client that sends nothing but line breaks has begun, too."""
        if self._deaf:
            return
        if self._looks is None:
            self._looks = 0
        self._framing += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._framing > LONGEST_HEAD and not self.transport.is_closing():
            self._end(LongHeadError(_HEAD))

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the request's head is too much."""
        if self._offers_another_protocol():
            return
        if refused := self._excess():
            self._refused = refused
            raise _RefusedError  # which reaches ``send_400_response``
        super().on_headers_complete()
        joined = Joined(self.transport, self.loop)
        self.cycle.transport = joined  # type: ignore[assignment]  # it is asked for no more
        if self._ending.began:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on."""
        self._framing -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has arrived."""
        if self._offers_another_protocol():
            return
        self._looks, self._framing, self.url = None, 0, b""
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or was refused."""
        self._end(self._refused or MalformedError(msg))

    def retire(self) -> None:
        """Let the answer that is under way, if any, be the last, and say so."""
        if self.cycle and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Close it unless a request is under way, is arriving, or has arrived unread."""
        if self.transport.is_closing():
            return
        if self._framing or self._pending():
            self.retire()
        else:
            super().shutdown()

    def _parse(self, data: bytes) -> None:
        while data:
            fed, data = data, b""
            try:
                self.parser.feed_data(fed)
            except HttpParserUpgrade as offer:
                data = self._without_offer(fed[offer.args[0] :])
            except HttpParserError:
                self.send_400_response("Invalid HTTP request received.")

    def _offers_another_protocol(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _without_offer(self, rest: bytes) -> bytes:
        """The request again, which ``rest`` ends, as if it offered no protocol but this one.

        A server may ignore such an offer (RFC 9110, section 7.8), but the parser leaves the body to
        the other protocol. Java's client offers HTTP/2 with every request.
        """
        if not self._offers_another_protocol():
            return b""
        version = self.parser.get_http_version().encode()
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        return b"\r\n".join([first, *headers, b"", rest])

    def _excess(self) -> AppError | None:
        if len(self.connections) > self._limits.connections:
            return CrowdedError("the server has no room for more connections", retry_after=1)
        if len(self.url) > LONGEST_URL:
            return LongUrlError(f"the URL is longer than {LONGEST_URL} bytes")
        size = sum(len(name) + len(value) for name, value in self.headers)
        if size > LONGEST_HEAD or len(self.headers) > MOST_HEADERS:
            return LongHeadError(_HEAD)
        return None

    def _look(self) -> None:
        """End what has not moved on."""
        if self not in self.connections:
            return
        unread = self.transport.get_write_buffer_size()
        if unread and unread == self._unread:
            self.transport.abort()
        elif self._looks is not None:
            self._looks += 1
            if self._looks >= _LATE:
                self._end_late()
        self._unread = unread
        self.loop.call_later(self._limits.patience / 2, self._look)

    def _end_late(self) -> None:
        """End a request that does not arrive, unless it is the server that does not read on."""
        if self._owes():
            self._looks = 0
            return
        text = f"the request had not arrived after {self._limits.patience:g} s"
        self._end(SlowError(text))

    def _owes(self) -> bool:
        """Whether what came before the request that is arriving is yet to be answered."""
        if self.cycle is None or self.cycle.response_complete:
            return False
        return bool(self.pipeline) or not self.cycle.more_body

    def _pending(self) -> bool:
        """Whether bytes have arrived that nobody has read yet."""
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))

    def _end(self, error: AppError) -> None:
        """Close the connection, with word of ``error``, or after the answers to what came before.

        An answer that is under way to the very request is broken off.
        """
        if self._owes():
            self._deaf = True
            self.retire()
        elif self.cycle and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self.transport.write(self._told(error))
            self.transport.close()

    def _told(self, error: AppError) -> bytes:
        """The answer to what has arrived of a request."""
        path = self.url.partition(b"?")[0].decode("latin-1")
        headers = {**error.headers, "Connection": "close"}
        answer = problems.answer(path, error.status, error.detail, headers=headers)
        lines = [b": ".join(header) for header in answer.raw_headers]
        body = b"" if self.parser.get_method() == b"HEAD" else bytes(answer.body)
        status = f"HTTP/1.1 {error.status.value} {error.status.phrase}".encode()
        return b"\r\n".join([status, *lines, b"", body])


_HEAD = f"the request's head is longer than {LONGEST_HEAD} bytes, or {MOST_HEADERS} headers"
