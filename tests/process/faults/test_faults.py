"""Every fault in short; whole with ``pytest -m slow``, or as the scripts that this calls."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.process.faults import noise, overload, quota, rude, signals, steady
from tests.process.faults.server import started

SLOW = pytest.mark.slow


def sized(short: float, whole: float) -> pytest.MarkDecorator:
    """Once in short, and once whole where that is asked for."""
    return pytest.mark.parametrize("size", [short, pytest.param(whole, marks=SLOW)])


@sized(1500, 1_000_000)
def test_mixed_endpoints_lose_nothing_and_draw_what_the_model_draws(size: float) -> None:
    with started() as server:
        found = asyncio.run(steady.loaded(server, int(size), 0, 4, 0, look=0.1))
    assert found.images >= size
    assert found.compared >= size / 500
    assert min(seen for _, seen in found.memory) > 0


@pytest.mark.slow
def test_half_an_hour_of_mixed_load_takes_no_more_memory() -> None:
    with started() as server:
        found = asyncio.run(steady.loaded(server, 0, 1800, 6, 650, look=10))
    assert found.growth(steady.SETTLED) <= 2


@sized(2, 60)
def test_overload_is_refused_with_the_time_to_come_back(size: float) -> None:
    with started("--max-queue", "512") as server:
        alone = asyncio.run(overload.saturated(server, min(2, size), 64))
        found = asyncio.run(overload.flooded(server, size, 64, 10 * alone.rate))
        memory = server.resident()
    assert alone.statuses.keys() == {200}
    assert found.statuses.keys() == {200, 503}
    assert (found.lost, found.unsaid) == (0, 0)
    assert memory < 400 * 2**20


@sized(2, 20)
def test_sigterm_fails_no_request(size: float) -> None:
    found, _ = signals.ended(int(size), 8)
    assert found.answered > 0
    assert found.failed == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_fails_no_request(workers: str) -> None:
    with started("--workers", workers) as server:
        found = asyncio.run(signals.hung_up(server, 4, 2, 0.3))
    assert found.answered > 0
    assert found.failed == []


@sized(2, 20)
def test_rude_clients_leave_polite_ones_alone(size: float) -> None:
    with started("--patience", "1") as server:
        alone, beside = asyncio.run(rude.compared(server, size, 12))
    assert min(rude.percentile(alone, 99), rude.percentile(beside, 99)) > 0
    assert len(beside) > 4


@sized(600, 100_000)
def test_random_bodies_are_never_the_servers_fault(size: float) -> None:
    with started() as server:
        statuses, wrong = asyncio.run(noise.thrown(server.port, int(size), 4))
        assert "Traceback" not in server.said
    assert wrong == []
    assert {200, 422} <= statuses.keys()


def test_half_a_core_and_300_mb_are_enough() -> None:
    try:
        with quota.group("cpu", quota.CPU, 50_000), quota.group("memory", quota.MEMORY, 3 * 10**8):
            pass
    except OSError as error:
        pytest.skip(f"this system has no control groups of cgroups v1 to write to: {error}")
    with quota.bounded(0.5, 300 * 10**6, "--provider", "cpu") as (server, room):
        found = asyncio.run(overload.saturated(server, 1, 16))
        mine, models = quota.threads(server), len(list(Path("models").glob("*/*/card.json")))
        assert int((room / "memory.max_usage_in_bytes").read_text()) < 300 * 10**6
    assert found.statuses.keys() == {200}
    # One computes for each model, beside the event loop, the watchdog, and those that encode.
    assert mine <= models + 2 + min(32, (os.cpu_count() or 1) + 4)
