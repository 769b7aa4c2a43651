"""Ten times the capacity: which requests are refused, how, and the remaining throughput.

    python -m tests.process.faults.overload [--seconds 60] [--images 64] [--times 10]

The capacity is the throughput of 8 connections that send the next request after each response,
measured before and after. The overload does not wait for responses: it requests ``times`` as many
images per second, over as many connections as that needs.
"""

import argparse
import asyncio
import os
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from tests.process.faults.client import Client, LostError
from tests.process.faults.figures import keep
from tests.process.faults.server import Server, started

CONNECTIONS = 8


@dataclass
class Found:
    """The results of one load."""

    images: int
    statuses: Counter[int] = field(default_factory=Counter)
    drawn: int = 0
    """Requests that got images during the measurement."""
    lost: int = 0
    without_retry_after: int = 0
    """Refusals without Retry-After."""
    seconds: float = 0.0
    busy: float = 0.0
    """CPU time of the server in seconds."""

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.drawn * self.images / self.seconds

    @property
    def efficiency(self) -> float:
        """Images per second of the server's CPU time."""
        return self.drawn * self.images / self.busy

    async def send(self, client: Client) -> None:
        """Send one more request."""
        try:
            answer = await client.send("POST", f"/generate?n={self.images}", Accept="image/png")
        except LostError:
            self.lost += 1
            return
        self.statuses[answer.status] += 1
        if answer.status != 200:
            self.without_retry_after += not int(answer.headers.get("retry-after", "0"))


async def saturate(server: Server, seconds: float, images: int) -> Found:
    """The throughput of CONNECTIONS connections that wait for each response."""
    found, began, busy = Found(images), time.perf_counter(), server.busy()

    async def client() -> None:
        connection = Client(server.port)
        while time.perf_counter() - began < seconds:
            await found.send(connection)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    found.seconds, found.drawn = time.perf_counter() - began, found.statuses[200]
    found.busy = server.busy() - busy
    return found


async def flood(server: Server, seconds: float, images: int, rate: float) -> Found:
    """The throughput while ``rate`` images per second are requested."""
    found, began, busy, sent = Found(images), time.perf_counter(), server.busy(), 0
    idle: deque[Client] = deque()
    tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        client = idle.pop() if idle else Client(server.port)
        await found.send(client)
        idle.append(client)

    while (now := time.perf_counter() - began) < seconds:
        due = int(now * rate / images)
        for _ in range(due - sent):
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        sent = due
        await asyncio.sleep(0.002)
    found.seconds = time.perf_counter() - began
    found.busy = server.busy() - busy
    found.drawn = found.statuses[200]  # later responses are computed without overload
    await asyncio.gather(*tasks)
    for client in idle:
        await client.close()
    return found


async def measured(server: Server, seconds: float, images: int, times: float) -> str:
    """Measure all loads; returns the text for RESULTS.md."""
    await saturate(server, min(3, seconds), images)
    part = max(1.0, seconds / 6)
    before = await saturate(server, part, images)
    first = server.resident()
    found = await flood(server, seconds, images, times * before.rate)
    memory = server.resident()
    after = await saturate(server, part, images)
    capacity = (before.rate + after.rate) / 2
    efficiency = (before.efficiency + after.efficiency) / 2
    assert not found.lost
    assert not found.without_retry_after
    assert found.statuses.keys() <= {200, 429, 503}, found.statuses
    times = found.statuses.total() * images / found.seconds / capacity
    return f"""\
{found.statuses.total()} requests for {images} images each in {found.seconds:.0f} s, {times:.1f}
times the capacity: {dict(found.statuses)} by status, none without a response, every refusal
with `Retry-After`.

| | images/s | per second of the server's CPU time | memory |
| --- | --- | --- | --- |
| before | {before.rate:.0f} | {before.efficiency:.0f} | {first / 2**20:.0f} MiB |
| overloaded | {found.rate:.0f} | {found.efficiency:.0f} | {memory / 2**20:.0f} MiB |
| after | {after.rate:.0f} | {after.efficiency:.0f} | |

The server delivered {found.rate / capacity:.0%} of its capacity; \
{found.efficiency / efficiency:.0%} measured by CPU time.
"""


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--times", type=float, default=10)
    options = parser.parse_args()
    *servers, own = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, servers or {own})  # the server inherits this
    with started() as server:
        os.sched_setaffinity(0, {own})
        text = asyncio.run(measured(server, options.seconds, options.images, options.times))
    keep("Ten times the capacity", f"`python -m tests.process.faults.overload`: {text}")


if __name__ == "__main__":
    main()
