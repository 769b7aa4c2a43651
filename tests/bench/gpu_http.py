"""Serving on a GPU over HTTP: requests per second, and the time of each stage."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from app.runtime.cpus import available
from tests.bench import clients
from tests.bench.gpu_serving import ROOT, Serving
from tests.bench.rows import Row
from tests.prometheus import value
from tests.serving import serving


def requests(bench: Serving) -> Iterator[Row]:
    """Concurrent requests to servers with one process and with several, and the time per stage."""
    bench.placement  # noqa: B018 raises before a server starts if the provider is missing
    for workers in (1,) if bench.quick else (1, max(2, min(8, available() // 2))):
        flags = ["--provider", bench.provider, "--max-batch", "256", "--workers", str(workers)]
        command = [sys.executable, "-m", "app", *flags, "--access-log", "false"]
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(command, ROOT, Path(folder) / "log") as address,
        ):
            _wait(address)
            for kind, count in (("image/png", 1), ("image/png", 16), ("application/zip", 256)):
                yield from _measured(bench, address, kind, count, workers)


def _measured(bench: Serving, address: str, kind: str, count: int, workers: int) -> Iterator[Row]:
    seconds = 0.3 if bench.quick else 3.0
    processes, connections = (1, 2) if bench.quick else (max(1, min(8, available() // 2)), 4)
    before = _stages(address)
    url = f"{address}/generate?n={count}"
    speed = clients.load(url, kind, processes, connections, seconds)
    part, name = f"HTTP, workers={workers}", kind.rpartition("/")[2]
    note = f"{processes * connections} connections, {processes} clients on the same CPUs"
    yield Row(part, f"{name} of n={count}", speed, "requests/s", note)
    for stage, (total, number) in _stages(address).items():
        mean = 1000 * (total - before[stage][0]) / max(1, number - before[stage][1])
        yield Row(part, f"{name} of n={count}, {stage}", mean, "ms", "per request")


def _wait(address: str) -> None:
    """Wait until the server is ready: its workers start to listen one after the other."""
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health/ready").is_success:
                return
        time.sleep(0.1)


def _stages(address: str) -> dict[str, tuple[float, float]]:
    """For each stage, the total seconds and the number of requests so far."""
    text = httpx.get(f"{address}/metrics", timeout=60).text
    names = {stage: f"dcgan_{stage}_seconds" for stage in ("queue", "compute", "encode")}
    return {
        stage: (value(text, f"{name}_sum"), value(text, f"{name}_count"))
        for stage, name in names.items()
    }
