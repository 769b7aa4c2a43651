"""SIGTERM and SIGHUP under load, again and again: no request that was accepted fails.

    python -m tests.process.faults.signals [--times 20] [--connections 16]

Each time servers, of one process and of two workers by turns, are told to end while every
connection asks again as soon as it is answered. A client that finds no connection any more has lost
nothing; one whose request was sent, and that gets no answer or another than 200, has. SIGHUP, which
lets a server look for new models, is sent to one that serves on.
"""

import argparse
import asyncio
import signal
import time
from dataclasses import dataclass, field

from tests.process.faults.client import Client, LostError, UnreachableError
from tests.process.faults.figures import keep
from tests.process.faults.mix import Mix
from tests.process.faults.server import Server, started


@dataclass
class Found:
    """What became of the requests of one load."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    over: bool = False


async def asking(server: Server, found: Found, seed: int) -> None:
    """Ask until it is over, or there is nobody to be asked."""
    mix, client = Mix(seed, largest=16), Client(server.port)
    while not found.over:
        request = mix.next()
        try:
            answer = await client.ask(request.method, request.path, request.body, **request.headers)
            request.check(answer)
            found.answered += 1
        except UnreachableError:
            break
        except (LostError, AssertionError) as error:
            found.failed.append(str(error))
    await client.close()


async def stopped(server: Server, connections: int, seconds: float) -> Found:
    """SIGTERM amid load; it must end with 0."""
    found = Found()
    clients = [asyncio.create_task(asking(server, found, seed)) for seed in range(connections)]
    await asyncio.sleep(seconds)
    server.process.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(server.ends, 60)
    found.over = True
    await asyncio.gather(*clients)
    assert status == 0, server.said
    return found


async def hung_up(server: Server, connections: int, times: int, seconds: float) -> Found:
    """SIGHUP, so many times amid load."""
    found = Found()
    clients = [asyncio.create_task(asking(server, found, seed)) for seed in range(connections)]
    for _ in range(times):
        await asyncio.sleep(seconds)
        server.process.send_signal(signal.SIGHUP)
    await asyncio.sleep(seconds)
    found.over = True
    await asyncio.gather(*clients)
    assert server.process.poll() is None
    return found


def ended(times: int, connections: int) -> tuple[Found, float]:
    """All that SIGTERM did to so many servers, and the most seconds until one had ended."""
    whole, longest = Found(), 0.0
    for k in range(times):
        with started("--workers", str(1 + k % 2)) as server:
            began = time.perf_counter()
            found = asyncio.run(stopped(server, connections, 1))
            longest = max(longest, time.perf_counter() - began - 1)
        whole.answered += found.answered
        whole.failed += found.failed
    return whole, longest


def main() -> None:
    """The figures, into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--connections", type=int, default=16)
    told = parser.parse_args()
    rows = ["| signal | workers | times | answered | failed |", "| --- | --- | --- | --- | --- |"]
    found, longest = ended(told.times, told.connections)
    rows.append(f"| SIGTERM | 1, 2 | {told.times} | {found.answered} | {len(found.failed)} |")
    failed = found.failed
    for workers in ("1", "2"):
        with started("--workers", workers) as server:
            found = asyncio.run(hung_up(server, told.connections, told.times // 2, 0.5))
        times, count = told.times // 2, len(found.failed)
        rows.append(f"| SIGHUP | {workers} | {times} | {found.answered} | {count} |")
        failed += found.failed
    text = (
        "`python -m tests.process.faults.signals`, "
        f"{told.connections} connections that send the next request at once."
    )
    text += f" After SIGTERM the server ended within {longest:.1f} s."
    keep("Signals under load", "\n".join([text, "", *rows, *failed[:5]]))


if __name__ == "__main__":
    main()
