"""Engines that fail, and engines that hang."""

import math
import re
from pathlib import Path

import httpx
import pytest

from app.server.watchdog import Watchdog
from tests.process.faults.server import started
from tests.waiting import PATIENCE, eventually, scaled, until_loaded

BROKEN = "tests.process.faults.broken"


def reason_after(watchdog: Watchdog, times: int) -> str | None:
    for _ in range(times):
        watchdog.check()
    return watchdog.reason


def test_batches_that_end_are_not_reported() -> None:
    batches = iter(range(1, 99))
    assert reason_after(Watchdog(lambda: [("a/1", next(batches)), ("b/1", 0)], 10), 50) is None


def test_a_batch_is_reported_until_it_ends() -> None:
    batch = 7
    watchdog = Watchdog(lambda: [("a/1", 0), ("b/1", batch)], 10)
    assert reason_after(watchdog, 10) is None
    assert reason_after(watchdog, 1) == "the engine of b/1 has not answered for 10 s"
    assert reason_after(watchdog, 5) == "the engine of b/1 has not answered for 15 s"
    batch = 8
    assert reason_after(watchdog, 1) is None


def test_a_version_removed_during_a_check_is_ignored() -> None:
    def removed() -> list[tuple[str, int]]:
        raise KeyError

    assert reason_after(Watchdog(removed, 10), 20) is None


def test_a_failed_batch_names_its_fault_and_the_next_one_succeeds(tmp_path: Path) -> None:
    with started(program=(BROKEN, str(tmp_path))) as server:
        url = f"http://127.0.0.1:{server.port}/generate?n=1"
        (tmp_path / "fail").touch()
        failed = httpx.post(url, timeout=PATIENCE)
        assert failed.status_code == 500
        fault = re.search(r"see fault (\w{8}) in the log$", failed.json()["detail"])
        assert fault
        batch = f"fault {fault[1]}: a batch of 1 images failed"
        request = f"request {failed.headers['X-Request-ID']}: these images"
        eventually(lambda: request in server.output)  # a thread writes the log
        assert batch in server.output
        assert "0xdeadbeef" in server.output
        (tmp_path / "fail").unlink()
        assert httpx.post(url, timeout=PATIENCE).is_success


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hanging_engine_ends_its_process(tmp_path: Path, workers: int) -> None:
    # A supervisor kills a worker that has not begun to answer after twice that time.
    stalled = 1 if workers == 1 else math.ceil(scaled(2))
    flags = ("--stalled", str(stalled), "--timeout", "0.2", "--workers", str(workers))
    (tmp_path / "hold").touch()  # until its state has been seen
    with started(*flags, program=(BROKEN, str(tmp_path))) as server:
        url = f"http://127.0.0.1:{server.port}/generate?n=1"
        (tmp_path / "stall").touch()
        with httpx.Client(timeout=PATIENCE) as client:
            assert client.post(url).status_code == 504
            health = f"http://127.0.0.1:{server.port}/health/ready"
            answers: list[httpx.Response] = []
            eventually(lambda: answers.append(client.get(health)) or answers[-1].is_error)
            refused = answers[-1]
            assert refused.status_code == 503
            assert "the engine of fashion-mnist/3 has not answered for" in refused.json()["detail"]
        (tmp_path / "hold").unlink()
        if workers == 1:
            assert server.ends() == 70
        eventually(lambda: "CRITICAL" in server.output)
        last = (
            f"CRITICAL: the engine of fashion-mnist/3 has not answered for {2 * stalled} s: exiting"
        )
        assert last in re.sub(" +", " ", server.output)
        if workers > 1:  # the supervisor restarted it
            (tmp_path / "stall").unlink()
            eventually(lambda: "died and is replaced" in server.output)
            until_loaded(f"http://127.0.0.1:{server.port}", workers)
            assert all(httpx.get(health, timeout=PATIENCE).is_success for _ in range(8))
