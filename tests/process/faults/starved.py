"""A client that wants one image at a time, beside one with nine requests for 256 faces.

    python -m tests.process.faults.starved [--seconds 30] [--connections 9]

The server tells the clients apart by their addresses. The p99 of the light client is compared with
the bound: three times its p99 alone, plus the p99 of the time of one batch beside them, which the
server's log has.
"""

import argparse
import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.process.faults.client import Client
from tests.process.faults.figures import keep
from tests.process.faults.rude import percentile
from tests.process.faults.server import Server, started

IMAGES = 256
PROGRAM = ("tests.process.faults.timed_batches",)
LIGHT, HEAVY = "127.0.0.3", "127.0.0.2"
ONE, MANY = "/generate?n=1&model=faces", "/grid?rows=16&cols=16&model=faces&seed=1"


@dataclass
class Found:
    """The results of one run, in seconds."""

    alone: list[float] = field(default_factory=list)
    """Latencies of the light client."""
    beside: list[float] = field(default_factory=list)
    """The same, beside the heavy client."""
    batches: list[float] = field(default_factory=list)
    """Times of the batches with images of the heavy client."""
    heavy: Counter[int] = field(default_factory=Counter)
    """Responses of the heavy client by status."""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the heavy client has received images."""

    @property
    def bound(self) -> float:
        """The longest allowed p99 beside the heavy client in milliseconds."""
        return 3 * percentile(self.alone, 99) + percentile(self.batches, 99)


async def light(port: int, seconds: float) -> list[float]:
    """Request one image after the other; returns the latencies."""
    client, waited, until = Client(port, LIGHT), [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(waited) < 2:
        answer = await client.send("POST", ONE, Accept="image/png")
        assert answer.status == 200, answer
        waited.append(answer.seconds)
    await client.close()
    return waited


async def heavy(port: int, found: Found) -> None:
    """Request many images again and again, and ignore Retry-After."""
    client = Client(port, HEAVY)
    try:
        while True:
            answer = await client.send("GET", MANY)
            found.heavy[answer.status] += 1
            if answer.status == 200:
                found.begun.set()
    finally:
        await client.close()


async def measured(server: Server, seconds: float, connections: int) -> Found:
    """The light client alone, then beside the heavy one; ``seconds`` each."""
    found = Found(alone=await light(server.port, seconds))
    tasks = [asyncio.create_task(heavy(server.port, found)) for _ in range(connections)]
    await found.begun.wait()
    logged = len(server.output)
    found.beside = await light(server.port, seconds)
    batches = re.findall(r"^batch (\d+) (\S+)", server.output[logged:], re.MULTILINE)
    found.batches = [float(took) for images, took in batches if int(images) > 1]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--connections", type=int, default=9)
    options = parser.parse_args()
    with started(program=PROGRAM) as server:
        found = asyncio.run(measured(server, options.seconds, options.connections))
    rows = [
        "| one image of `faces` at a time | responses | p50 | p99 |",
        "| --- | --- | --- | --- |",
    ]
    for name, waited in (("alone", found.alone), ("beside it", found.beside)):
        p50, p99 = percentile(waited, 50), percentile(waited, 99)
        rows.append(f"| {name} | {len(waited)} | {p50:.0f} ms | {p99:.0f} ms |")
    batch = f"{percentile(found.batches, 50):.0f} ms (p99 {percentile(found.batches, 99):.0f} ms)"
    text = (
        "`python -m tests.process.faults.starved`: beside a client with "
        f"{options.connections} connections that request {IMAGES} faces each, a batch takes "
        f"{batch}. The bound, 3 times the p99 alone and the p99 of one batch, is "
        f"{found.bound:.0f} ms."
    )
    print("\n".join([text, *rows, str(dict(found.heavy))]))
    keep("A heavy client", "\n".join([text, "", *rows]))


if __name__ == "__main__":
    main()
