"""Ten times the capacity: what is refused, how, and how much is drawn all the same.

    python -m tests.process.faults.overload [--seconds 60] [--images 64] [--times 10]

The capacity is what 8 connections draw that ask again once they are answered, measured before and
after. The overload does not wait for answers: ``times`` as many images a second are asked for, by
as many connections as that takes.
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
    """What became of the requests of one load."""

    images: int
    statuses: Counter[int] = field(default_factory=Counter)
    drawn: int = 0
    """Requests answered with images in time."""
    lost: int = 0
    unsaid: int = 0
    """Refusals that do not say when to come back."""
    seconds: float = 0.0
    busy: float = 0.0
    """Seconds of CPU that the server used."""

    @property
    def rate(self) -> float:
        """Images drawn a second."""
        return self.drawn * self.images / self.seconds

    @property
    def efficiency(self) -> float:
        """Images drawn by a second of the server's CPU time."""
        return self.drawn * self.images / self.busy

    async def ask(self, client: Client) -> None:
        """One more request."""
        try:
            answer = await client.ask("POST", f"/generate?n={self.images}", Accept="image/png")
        except LostError:
            self.lost += 1
            return
        self.statuses[answer.status] += 1
        if answer.status != 200:
            self.unsaid += not int(answer.headers.get("retry-after", "0"))


async def saturated(server: Server, seconds: float, images: int) -> Found:
    """What a few connections draw that always wait for an answer."""
    found, began, busy = Found(images), time.perf_counter(), server.busy()

    async def client() -> None:
        connection = Client(server.port)
        while time.perf_counter() - began < seconds:
            await found.ask(connection)
        await connection.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    found.seconds, found.drawn = time.perf_counter() - began, found.statuses[200]
    found.busy = server.busy() - busy
    return found


async def flooded(server: Server, seconds: float, images: int, rate: float) -> Found:
    """What is drawn while ``rate`` images a second are asked for."""
    found, began, busy, asked = Found(images), time.perf_counter(), server.busy(), 0
    idle: deque[Client] = deque()
    tasks: set[asyncio.Task[None]] = set()

    async def one() -> None:
        client = idle.pop() if idle else Client(server.port)
        await found.ask(client)
        idle.append(client)

    while (now := time.perf_counter() - began) < seconds:
        due = int(now * rate / images)
        for _ in range(due - asked):
            task = asyncio.create_task(one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        asked = due
        await asyncio.sleep(0.002)
    found.seconds = time.perf_counter() - began
    found.busy = server.busy() - busy
    found.drawn = found.statuses[200]  # what comes from now on is drawn without overload
    await asyncio.gather(*tasks)
    for client in idle:
        await client.close()
    return found


async def measured(server: Server, seconds: float, images: int, times: float) -> str:
    """All of it, in words."""
    await saturated(server, min(3, seconds), images)
    part = max(1.0, seconds / 6)
    before = await saturated(server, part, images)
    first = server.resident()
    found = await flooded(server, seconds, images, times * before.rate)
    memory = server.resident()
    after = await saturated(server, part, images)
    capacity = (before.rate + after.rate) / 2
    efficiency = (before.efficiency + after.efficiency) / 2
    assert not found.lost
    assert not found.unsaid
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
    """The figures, into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--times", type=float, default=10)
    options = parser.parse_args()
    *servers, own = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, servers or {own})  # which the server inherits
    with started() as server:
        os.sched_setaffinity(0, {own})
        text = asyncio.run(measured(server, options.seconds, options.images, options.times))
    keep("Ten times the capacity", f"`python -m tests.process.faults.overload`: {text}")


if __name__ == "__main__":
    main()
