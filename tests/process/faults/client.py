"""An HTTP client that shows each connection, and how a response was lost."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from tests.waiting import PATIENCE

LIMIT = 2**16


class LostError(Exception):
    """A request was sent, but no complete response arrived."""


class UnreachableError(Exception):
    """There was no connection, so no request was sent."""


@dataclass(frozen=True)
class Response:
    """A complete response."""

    status: int
    headers: Mapping[str, str]
    """Values by lower-case name."""
    body: bytes
    seconds: float


class Client:
    """One connection at a time, reused until the server closes it."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        """``address`` is the client's own; servers tell clients apart by it."""
        self._port, self._address = port, address
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        """Send a request; returns the response. Raises LostError or UnreachableError."""
        began = time.perf_counter()
        reader, writer = await self._connected()
        fields = {"Host": "x", "Content-Length": str(len(body)), **headers}
        if body and "Content-Type" not in fields:
            fields["Content-Type"] = "application/json"
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{k.replace('_', '-')}: {v}" for k, v in fields.items()),
        ]
        try:
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            status, found, content = await _read(reader)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            await self.close()
            raise LostError(f"{method} {path}: {error!r}") from error
        if found.get("connection") == "close":
            await self.close()
        return Response(status, found, content, time.perf_counter() - began)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        # A connection closed between requests loses nothing (RFC 9112, section 9.3.1).
        if self._streams and self._streams[0].at_eof():
            await self.close()
        if self._streams is None:
            try:
                opened = asyncio.open_connection(
                    "127.0.0.1", self._port, limit=LIMIT, local_addr=(self._address, 0)
                )
                self._streams = await asyncio.wait_for(opened, PATIENCE)
            except (OSError, TimeoutError) as error:
                raise UnreachableError(repr(error)) from error
        return self._streams

    async def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        streams, self._streams = self._streams, None
        if streams:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        return int(first.split()[1]), headers, await _chunks(reader)
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), headers, body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)
