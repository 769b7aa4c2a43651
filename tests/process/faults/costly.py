"""Requests that cost the server far more than their sender: what is left for everybody else?

``python -m tests.process.faults.costly`` prints rows for the table of attacks in RESULTS.md.
"""

import gzip
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection

from tests.process.faults.server import Server, started

SHEET = "/interpolate?from=1&to=2&steps=2&columns=56&padding=64&scale=8&model=faces"
"""Two images on a sheet of 2²⁴ pixels."""
_BODY = '{"inputs": [{"name": "latents", "shape": [1, 64], "datatype": "FP32", "data": [%s]}]}'
BOMB = gzip.compress((_BODY % ",".join(["{}"] * 190_000)).encode())
"""A thousand bytes that become 190,000 wrong values."""


@dataclass
class Found:
    """What happened during an attack."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Responses to the attack."""
    probes: list[float] = field(default_factory=list)
    """Seconds of each ``GET /health/live`` meanwhile."""
    memory: int = 0
    """The most resident memory in bytes."""
    seconds: float = 0.0
    """How long the attack of ``bombs`` took."""

    def latency(self, share: float) -> float:
        """The quantile of ``probes``."""
        return sorted(self.probes)[int(share * (len(self.probes) - 1))]


def bombs(server: Server, seconds: float, clients: int = 3) -> Found:
    """Send BOMB from several connections at once, again and again."""
    found = Found()
    began = time.monotonic()
    end = began + seconds
    headers = {"Content-Encoding": "gzip"}

    def attack() -> None:
        while time.monotonic() < end:
            path = "/v2/models/faces/infer"
            found.statuses[_status(server, "POST", path, BOMB, headers)] += 1

    with ThreadPoolExecutor(clients) as threads:
        _probe(server, [threads.submit(attack) for _ in range(clients)], found)
    found.seconds = time.monotonic() - began
    return found


def sheets(server: Server, count: int) -> Found:
    """Request SHEET ``count`` times at once."""
    found = Found()
    with ThreadPoolExecutor(count) as threads:
        attacks = [threads.submit(_status, server, "GET", SHEET) for _ in range(count)]
        _probe(server, attacks, found)
        found.statuses.update(attack.result() for attack in attacks)
    return found


def _probe(server: Server, attacks: "list[Future[None]] | list[Future[int]]", found: Found) -> None:
    """Measure latency and memory until the attacks end. Every probe must succeed."""
    while not all(attack.done() for attack in attacks):
        began = time.perf_counter()
        assert _status(server, "GET", "/health/live") == 200
        found.probes.append(time.perf_counter() - began)
        found.memory = max(found.memory, server.resident())
        time.sleep(0.005)


def _status(
    server: Server,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> int:
    with _connected(server) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        response.read()
        return response.status


@contextmanager
def _connected(server: Server) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()


def _row(attack: str, found: Found) -> str:
    median, worst = (round(1000 * found.latency(share)) for share in (0.5, 1))
    statuses = ", ".join(f"{count} × {status}" for status, count in sorted(found.statuses.items()))
    latency = f"`/health/live` {median} ms (median) to {worst} ms"
    return f"| {attack} | {statuses} | {latency}, memory {found.memory >> 20} MiB |"


def main() -> int:
    """Attack a server with and without a rate limit."""
    for flags in ((), ("--rate", "10")):
        named = " ".join(flags) or "no rate limit"
        with started(*flags) as server:
            print(_row(f"30 s of wrong tensors, three connections, {named}", bombs(server, 30)))
        with started(*flags) as server:
            print(_row(f"twelve sheets of 2²⁴ pixels at once, {named}", sheets(server, 12)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
