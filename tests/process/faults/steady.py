"""Mixed endpoints for a long time: no request is lost, and memory does not grow.

    python -m tests.process.faults.steady [--images 1000000] [--minutes 30] [--rate 650]

It ends after ``--images`` images and ``--minutes`` minutes, whichever is later. Every image of
every response is decoded; of one response in twenty, four images are compared with the model
computed without the server. Memory is sampled every ten seconds.
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
    """The results of the load."""

    images: int = 0
    compared: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Samples of seconds since the start, and bytes."""

    def growth(self, since: float) -> float:
        """Growth of memory in percent, from the samples right after ``since`` to the last tenth.

        Both are means of several samples, since one may fall into a large response.
        """
        settled = [size for seconds, size in self.memory if seconds >= since]
        some = max(1, len(settled) // 10)
        first, last = sum(settled[:some]) / some, sum(settled[-some:]) / some
        return 100 * (last / first - 1)


async def load(
    server: Server, images: int, seconds: float, connections: int, rate: float, interval: float
) -> Found:
    """Send requests until both limits are reached, at ``rate`` images per second (0: no limit)."""
    found, began = Found(), time.perf_counter()

    def over() -> bool:
        return found.images >= images and time.perf_counter() - began >= seconds

    async def client(seed: int) -> None:
        mix, connection, sent = Mix(seed), Client(server.port), 0
        while not over():
            request = mix.next()
            headers = {"Accept": "*/*", **request.headers}
            answer = await connection.send(request.method, request.path, request.body, **headers)
            found.compared += request.check(answer, sample=0 if sent % COMPARED else SAMPLE)
            found.images += request.count
            sent += 1
            found.requests[request.path.partition("?")[0].split("/")[1]] += 1
            if rate:
                await asyncio.sleep(began + found.images / rate - time.perf_counter())
        await connection.close()

    async def sample_memory() -> None:
        while True:
            found.memory.append((time.perf_counter() - began, server.resident()))
            await asyncio.sleep(interval)

    watching = asyncio.create_task(sample_memory())
    await asyncio.gather(*(client(seed) for seed in range(connections)))
    watching.cancel()
    return found


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--rate", type=float, default=650, help="images per second; 0: no limit")
    options = parser.parse_args()
    with started() as server:
        limits = (options.images, 60 * options.minutes, options.connections, options.rate, 10)
        found = asyncio.run(load(server, *limits))
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
