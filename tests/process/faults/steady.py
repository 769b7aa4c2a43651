"""Mixed endpoints for long: nothing lost, every answer whole, and the memory flat.

    python -m tests.process.faults.steady [--images 1000000] [--minutes 30] [--rate 650]

It ends when so many images have come and so many minutes have passed. Every image of every answer
is decoded; of one answer in twenty, four images are held against the model computed without the
server. The memory is looked at every ten seconds.
"""

import argparse
import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.process.faults.client import Client
from tests.process.faults.figures import keep
from tests.process.faults.mix import Mix
from tests.process.faults.server import Server, started

COMPARED, SAMPLE = 20, 4
SETTLED = 300
"""Seconds after which the memory has settled."""


@dataclass
class Found:
    """What came."""

    images: int = 0
    compared: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, and bytes."""

    def growth(self, since: float) -> float:
        """By how many percent the memory of the last tenth is above that of right after ``since``.

        Means of several looks: one may fall amid a large answer.
        """
        settled = [size for seconds, size in self.memory if seconds >= since]
        some = max(1, len(settled) // 10)
        first, last = sum(settled[:some]) / some, sum(settled[-some:]) / some
        return 100 * (last / first - 1)


async def loaded(
    server: Server, images: int, seconds: float, connections: int, rate: float, look: float
) -> Found:
    """Ask until there are so many images and so many seconds are over; ``rate`` images a second."""
    found, began = Found(), time.perf_counter()

    def over() -> bool:
        return found.images >= images and time.perf_counter() - began >= seconds

    async def client(seed: int) -> None:
        mix, connection, asked = Mix(seed), Client(server.port), 0
        while not over():
            request = mix.next()
            told = {"Accept": "*/*", **request.headers}
            answer = await connection.ask(request.method, request.path, request.body, **told)
            found.compared += request.check(answer, sample=0 if asked % COMPARED else SAMPLE)
            found.images += request.count
            asked += 1
            found.requests[request.path.partition("?")[0].split("/")[1]] += 1
            if rate:
                await asyncio.sleep(began + found.images / rate - time.perf_counter())
        await connection.close()

    async def looking() -> None:
        while True:
            found.memory.append((time.perf_counter() - began, server.resident()))
            await asyncio.sleep(look)

    watching = asyncio.create_task(looking())
    await asyncio.gather(*(client(seed) for seed in range(connections)))
    watching.cancel()
    return found


def main() -> None:
    """The figures, into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--rate", type=float, default=650, help="images a second; 0: no bound")
    told = parser.parse_args()
    with started() as server:
        load = (told.images, 60 * told.minutes, told.connections, told.rate, 10)
        found = asyncio.run(loaded(server, *load))
    seconds = found.memory[-1][0]
    text = (
        "`python -m tests.process.faults.steady`: "
        f"{found.images:,} images in {seconds / 60:.1f} min,"
    )
    text += (
        f" all decoded, {found.compared:,} compared, 0 missing. Requests: {dict(found.requests)}."
    )
    if seconds > SETTLED:
        text += f" Memory since the fifth minute: {found.growth(SETTLED):+.2f} %."
    rows = ["| minute | memory |", "| --- | --- |"]
    for at, size in found.memory[:: max(1, len(found.memory) // 12)]:
        rows.append(f"| {at / 60:.0f} | {size / 2**20:.1f} MiB |")
    keep("Mixed load", "\n".join([text, "", *rows]))


if __name__ == "__main__":
    main()
