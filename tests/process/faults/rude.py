"""Clients that do not read, send a byte per second or half a body, or leave at random.

    python -m tests.process.faults.rude [--seconds 20] [--rude 40]

Beside ``--rude`` of them, equally many of each kind, polite clients request one image after the
other. Rounds with and without rude clients alternate. The latency of the polite ones is compared.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from statistics import quantiles
from typing import Any

from tests.process.faults.client import Client
from tests.process.faults.figures import keep
from tests.process.faults.server import Server, started

POLITE = 4
# Few images: overload.py measures heavy load.
HEAD = b"POST /generate?n=4 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LARGE = b"GET /static-offline-docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Request megabytes and read nothing."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(LARGE * 5)
    await asyncio.sleep(60)


async def slow(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one byte per second."""
    for byte in HEAD:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send half a body, and nothing more."""
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 500)
    await asyncio.sleep(60)


async def gone(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Leave before the response."""
    writer.write(HEAD + b"Content-Length: 2\r\n\r\n{}")
    await asyncio.sleep(0.2 * random.random())  # noqa: S311
    writer.transport.abort()
    await asyncio.sleep(0.3)  # no more often than the others


KINDS: tuple[Callable[[Any, Any], Coroutine[Any, Any, None]], ...] = (deaf, slow, half, gone)


async def rude(port: int, kind: Callable[[Any, Any], Coroutine[Any, Any, None]]) -> None:
    """Run one rude client after the other."""
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await kind(reader, writer)
            finally:
                writer.transport.abort()
                with suppress(OSError):  # an OSError would replace the cancellation
                    await writer.wait_closed()


async def polite(port: int, until: float) -> list[float]:
    """Send one request after the other; returns the seconds that each took."""
    client, waited = Client(port), []
    while time.perf_counter() < until or not waited:
        answer = await client.send("POST", "/generate?n=1", Accept="image/png")
        assert answer.status == 200, answer
        waited.append(answer.seconds)
    await client.close()
    return waited


async def round_of(server: Server, seconds: float, rude_ones: int) -> list[float]:
    """Latencies of polite clients in seconds, beside ``rude_ones`` rude ones."""
    others = [
        asyncio.create_task(rude(server.port, KINDS[k % len(KINDS)])) for k in range(rude_ones)
    ]
    if others:
        await asyncio.sleep(min(1, seconds))  # until they keep the server busy
    until = time.perf_counter() + seconds
    waited = await asyncio.gather(*(polite(server.port, until) for _ in range(POLITE)))
    for other in others:
        other.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    return [one for client in waited for one in client]


async def compared(
    server: Server, seconds: float, rude_ones: int
) -> tuple[list[float], list[float]]:
    """Latencies without and with rude clients, in alternating rounds."""
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(4):
        alone += await round_of(server, seconds / 4, 0)
        beside += await round_of(server, seconds / 4, rude_ones)
    return alone, beside


def percentile(waited: list[float], percent: int) -> float:
    """In milliseconds."""
    return 1000 * quantiles(waited, n=100)[percent - 1]


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each side")
    parser.add_argument("--rude", type=int, default=40)
    options = parser.parse_args()
    with started("--patience", "2") as server:
        alone, beside = asyncio.run(compared(server, options.seconds, options.rude))
        memory = server.resident() / 2**20
    rows = ["| | responses | p50 | p99 |", "| --- | --- | --- | --- |"]
    for name, waited in (("alone", alone), (f"with {options.rude} rude clients", beside)):
        p50, p99 = percentile(waited, 50), percentile(waited, 99)
        rows.append(f"| {name} | {len(waited)} | {p50:.1f} ms | {p99:.1f} ms |")
    ratio = percentile(beside, 99) / percentile(alone, 99)
    text = (
        "`python -m tests.process.faults.rude`: "
        f"{POLITE} well-behaved connections. Their p99 is {ratio:.2f} times that"
    )
    text += f" without rude clients; memory {memory:.0f} MiB at the end."
    keep("Rude clients", "\n".join([text, "", *rows]))


if __name__ == "__main__":
    main()
