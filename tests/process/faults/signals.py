"""Repeated SIGTERM and SIGHUP under load: no accepted request fails.

    python -m tests.process.faults.signals [--times 20] [--connections 16]

SIGTERM ends servers, in turn with one process and with two workers, while every connection sends
the next request as soon as it has a response. A refused connection is no failure; a request that
was sent, but got no response or a status other than 200, is one. SIGHUP, which makes a server look
for new models, is sent to a server that keeps running.
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
    """The results of one load."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    over: bool = False


async def requests(server: Server, found: Found, seed: int) -> None:
    """Send requests until the load is over, or no connection is possible."""
    mix, client = Mix(seed, largest=16), Client(server.port)
    while not found.over:
        request = mix.next()
        try:
            answer = await client.send(
                request.method, request.path, request.body, **request.headers
            )
            request.check(answer)
            found.answered += 1
        except UnreachableError:
            break
        except (LostError, AssertionError) as error:
            found.failed.append(str(error))
    await client.close()


async def terminate(server: Server, connections: int, seconds: float) -> Found:
    """Send SIGTERM under load; the server must exit with status 0."""
    found = Found()
    clients = [asyncio.create_task(requests(server, found, seed)) for seed in range(connections)]
    await asyncio.sleep(seconds)
    server.process.send_signal(signal.SIGTERM)
    status = await asyncio.to_thread(server.ends, 60)
    found.over = True
    await asyncio.gather(*clients)
    assert status == 0, server.output
    return found


async def reload(server: Server, connections: int, times: int, seconds: float) -> Found:
    """Send SIGHUP ``times`` times under load."""
    found = Found()
    clients = [asyncio.create_task(requests(server, found, seed)) for seed in range(connections)]
    for _ in range(times):
        await asyncio.sleep(seconds)
        server.process.send_signal(signal.SIGHUP)
    await asyncio.sleep(seconds)
    found.over = True
    await asyncio.gather(*clients)
    assert server.process.poll() is None
    return found


def terminations(times: int, connections: int) -> tuple[Found, float]:
    """The sum over ``times`` servers, and the longest shutdown in seconds."""
    whole, longest = Found(), 0.0
    for k in range(times):
        with started("--workers", str(1 + k % 2)) as server:
            began = time.perf_counter()
            found = asyncio.run(terminate(server, connections, 1))
            longest = max(longest, time.perf_counter() - began - 1)
        whole.answered += found.answered
        whole.failed += found.failed
    return whole, longest


def main() -> None:
    """Measure, and write the figures into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    rows = ["| signal | workers | times | answered | failed |", "| --- | --- | --- | --- | --- |"]
    found, longest = terminations(options.times, options.connections)
    rows.append(f"| SIGTERM | 1, 2 | {options.times} | {found.answered} | {len(found.failed)} |")
    failed = found.failed
    for workers in ("1", "2"):
        with started("--workers", workers) as server:
            found = asyncio.run(reload(server, options.connections, options.times // 2, 0.5))
        times, count = options.times // 2, len(found.failed)
        rows.append(f"| SIGHUP | {workers} | {times} | {found.answered} | {count} |")
        failed += found.failed
    text = (
        "`python -m tests.process.faults.signals`, "
        f"{options.connections} connections that send the next request at once."
    )
    text += f" After SIGTERM the server ended within {longest:.1f} s."
    keep("Signals under load", "\n".join([text, "", *rows, *failed[:5]]))


if __name__ == "__main__":
    main()
