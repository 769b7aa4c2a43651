"""Short versions of every fault test; ``pytest -m slow`` or the scripts run the long ones."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.process.faults import costly, noise, overload, quota, rude, signals, starved, steady
from tests.process.faults.server import started
from tests.waiting import scaled

SLOW = pytest.mark.slow


def sized(short: float, whole: float) -> pytest.MarkDecorator:
    """A short version, and a long one that is marked slow."""
    return pytest.mark.parametrize("size", [short, pytest.param(whole, marks=SLOW)])


@sized(1500, 1_000_000)
def test_mixed_endpoints_lose_nothing_and_return_the_models_images(size: float) -> None:
    with started() as server:
        found = asyncio.run(steady.load(server, int(size), 0, 4, 0, interval=0.1))
    assert found.images >= size
    assert found.compared >= size / 500
    assert min(seen for _, seen in found.memory) > 0


@pytest.mark.slow
def test_memory_does_not_grow_in_half_an_hour_of_mixed_load() -> None:
    with started() as server:
        found = asyncio.run(steady.load(server, 0, 1800, 6, 650, interval=10))
    assert found.growth(steady.SETTLED) <= 2


@sized(1, 60)
def test_overload_is_refused_with_retry_after(size: float) -> None:
    with started("--max-queue", "512") as server:
        alone = asyncio.run(overload.saturate(server, min(2, size), 64))
        found = asyncio.run(overload.flood(server, size, 64, 10 * alone.rate))
        memory = server.resident()
    assert alone.statuses.keys() == {200}
    assert found.statuses.keys() == {200, 503}
    assert (found.lost, found.without_retry_after) == (0, 0)
    assert memory < 400 * 2**20


@sized(2, 20)
def test_sigterm_fails_no_request(size: float) -> None:
    found, _ = signals.terminations(int(size), 8)
    assert found.answered > 0
    assert found.failed == []


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_fails_no_request(workers: str) -> None:
    with started("--workers", workers) as server:
        found = asyncio.run(signals.reload(server, 4, 2, 0.3))
    assert found.answered > 0
    assert found.failed == []


@sized(2, 20)
def test_polite_clients_get_responses_beside_rude_ones(size: float) -> None:
    # The polite ones open connections, too, and have a quarter of it for the first byte of each.
    with started("--patience", f"{scaled(4):.0f}") as server:
        alone, beside = asyncio.run(rude.compared(server, size, 12))
    assert min(len(alone), len(beside)) >= 4 * rude.POLITE  # one for each in four rounds


@sized(0.5, 30)
def test_a_light_client_gets_images_beside_a_heavy_one(size: float) -> None:
    """The unit tests of the fair queue count for how many batches it waits."""
    with started("--timeout", "600", program=starved.PROGRAM) as server:
        found = asyncio.run(starved.measured(server, size, 9))
    assert found.heavy.keys() <= {200, 429}
    assert found.heavy[200] > 0
    assert len(found.beside) > 1


@sized(600, 100_000)
def test_random_bodies_cause_no_server_error(size: float) -> None:
    with started() as server:
        statuses, wrong = asyncio.run(noise.send_noise(server.port, int(size), 4))
        assert "Traceback" not in server.output
    assert wrong == []
    assert {200, 422} <= statuses.keys()


def test_half_a_core_and_300_mb_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DCGAN_LOAD_TIMEOUT", "DCGAN_LOAD_MEMORY"):
        monkeypatch.delenv(name)  # trials need memory, too
    try:
        with quota.group("cpu", quota.CPU, 50_000), quota.group("memory", quota.MEMORY, 3 * 10**8):
            pass
    except OSError as error:
        pytest.skip(f"control groups of cgroups v1 cannot be created here: {error}")
    with quota.limited(0.5, 300 * 10**6, "--provider", "cpu") as (server, memory_group):
        found = asyncio.run(overload.saturate(server, 1, 16))
        threads, models = quota.threads(server), len(list(Path("models").glob("*/*/card.json")))
        assert int((memory_group / "memory.max_usage_in_bytes").read_text()) < 300 * 10**6
    assert found.statuses.keys() == {200}
    # One engine thread per model; the event loop, the watchdog, the writer of the log and, for half
    # a CPU, one encoder; asyncio's default pool, which loads models; libuv's pool of four.
    assert threads <= models + 4 + min(32, (os.cpu_count() or 1) + 4) + 4


@sized(2, 30)
def test_wrong_tensors_cost_their_client_and_nobody_else(size: float) -> None:
    with started("--rate", "1") as server:  # fewer than even a slow machine answers
        found = costly.bombs(server, scaled(size))
    assert found.statuses.keys() == {422, 429}
    assert found.statuses[422] <= 10 + found.seconds + 10
    assert found.memory < 600 * 2**20  # without limits, one of them takes 490 MB


@pytest.mark.parametrize("rate", ["0", "10"])
def test_large_sheets_take_turns(rate: str) -> None:
    with started("--rate", rate, "--encode-bytes", str(2**27)) as server:
        found = costly.sheets(server, 12)
    assert found.statuses.total() == 12
    if rate == "0":  # on a busy machine the last ones would wait for too long
        assert found.statuses.keys() <= {200, 503}
    else:
        assert found.statuses == {200: 1, 429: 11}
    assert found.statuses[200] > 0
    assert found.memory < 800 * 2**20  # all at once would take far more
