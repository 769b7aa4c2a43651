"""Metrics summed over several workers, one of which is killed; over real sockets."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx

from tests.process.test_workers import started
from tests.prometheus import samples, value
from tests.waiting import PATIENCE, eventually, until_loaded

Serve = Callable[..., AbstractContextManager[tuple["subprocess.Popen[str]", str]]]

FACES = {"model": "faces", "version": "1"}
ROUTE = "/images/{model}/{version}/{seed}.{form}"


def metrics(address: str) -> str:
    """Return ``/metrics`` of the worker that accepts a new connection."""
    for _ in range(600):
        try:
            return httpx.get(f"{address}/metrics", timeout=PATIENCE).raise_for_status().text
        except httpx.TransportError:  # the connection was the killed worker's
            time.sleep(0.1)
    raise AssertionError("no worker answers")


def await_metrics(address: str, holds: Callable[[str], bool]) -> str:
    """``/metrics`` once ``holds`` is true of it: every worker counts a moment after it answers."""
    texts: list[str] = []

    def found() -> bool:
        texts.append(metrics(address))
        return holds(texts[-1])

    eventually(found)
    return texts[-1]


def answered(text: str) -> float:
    """How many requests for single images all workers have answered."""
    return value(text, "dcgan_request_seconds_count", route=ROUTE)


def request_images(address: str, count: int) -> None:
    """Request ``count`` images over one connection each, so that every worker gets some."""
    paths = [f"{address}/images/faces/1/{k}.png" for k in range(count)]
    transport = httpx.HTTPTransport(retries=5)  # until a worker listens
    client = httpx.Client(transport=transport, headers={"Connection": "close"}, timeout=PATIENCE)
    with client, ThreadPoolExecutor(4) as threads:
        assert {answer.status_code for answer in threads.map(client.get, paths)} == {200}


def workers(text: str) -> set[str]:
    return {
        dict(labels)["worker"]
        for name, labels in samples(text)
        if name == "process_resident_memory_bytes"
    }


def test_counts_are_summed_over_workers_and_survive_a_killed_one(serve: Serve) -> None:
    with serve("--workers", "2", "--cache-bytes", "0") as (process, address):
        first, _ = started(process, 2)
        request_images(address, 40)
        await_metrics(address, lambda text: answered(text) == 40)
        texts = [metrics(address) for _ in range(8)]
        assert {value(t, "dcgan_images_computed_total", **FACES) for t in texts} == {40}
        assert all(workers(t) == {"0", "1"} for t in texts)
        os.kill(first, signal.SIGKILL)
        started(process, 1)
        until_loaded(address, workers=2)
        request_images(address, 10)

        def settled(text: str) -> bool:
            gauges = [value(text, "dcgan_ready"), value(text, "dcgan_model_info", **FACES)]
            return answered(text) == 50 and gauges == [1, 1]

        text = await_metrics(address, settled)
        assert workers(text) == {"0", "1"}
        assert value(text, "dcgan_requests_total", route=ROUTE, status="200") == 50
        for name in ("images_computed_total", "batch_images_sum", "queue_seconds_count"):
            assert value(text, f"dcgan_{name}", **FACES) == 50
        # Gauges include living workers only.
        assert value(text, "dcgan_queue_images") == 0
        assert value(text, "dcgan_model_info", **FACES) == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
