"""Sends the short responses that are ready at the same time one right after the other.

Sending a response wakes its client, which takes longer than the rest of the system call. A client
with several connections, such as a proxy on this machine, would sleep again while the server
encodes the next image of a batch, and each image would wake it anew.
"""

import asyncio


class Outbox:
    """The connections of one event loop that will send something in its next turn."""

    def __init__(self) -> None:
        self._waiting: list[PostingTransport] = []

    def add(self, transport: "PostingTransport") -> None:
        """Flush ``transport`` once the event loop has run all callbacks of this turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(transport)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            transport.flush()


class PostingTransport(asyncio.Transport):
    """A connection that sends in order what is posted to it and what is written to it.

    What is posted waits until the outbox is flushed. It is sent before that if something is written
    or the connection is closed.
    """

    def __init__(self, transport: asyncio.Transport, outbox: Outbox) -> None:
        super().__init__()
        self._transport, self._outbox = transport, outbox
        self._posted = b""

    def post(self, data: bytes) -> None:
        """Send ``data`` soon."""
        self._posted += data
        self._outbox.add(self)

    def flush(self) -> None:
        """Send what has been posted, unless the connection is lost."""
        posted, self._posted = self._posted, b""
        if posted and not self._transport.is_closing():
            self._transport.write(posted)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data`` now."""
        self.flush()
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection once all data has been sent."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        """Bytes that wait for the client to read; what is posted does not."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Facts about the connection; see ``asyncio.BaseTransport``."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Receive nothing."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Receive again."""
        self._transport.resume_reading()
