"""Reload orders that several processes share."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.artifact.version_key import VersionKey
from app.registry.reload_log import ReloadLog, ReloadOrder


@pytest.fixture(params=["alone", "shared"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> ReloadLog:
    return ReloadLog(tmp_path if request.param == "shared" else None)


def test_orders_are_taken_in_sequence_and_may_finish_in_another(log: ReloadLog) -> None:
    given = [ReloadOrder("cats", [1]), ReloadOrder("cats"), ReloadOrder()]
    log.publish_progress()
    assert log.take() is None
    assert [log.append(order) for order in given] == [1, 2, 3]
    assert [log.take() for _ in given] == [*enumerate(given, 1)]
    assert log.take() is None
    for number in (3, 1, 2):
        assert not log.done_by_all(number)
        log.finish(number)
        assert log.done_by_all(number)
    assert not log.done_by_all(4)


def test_every_order_has_a_number_of_its_own(tmp_path: Path) -> None:
    writers = [ReloadLog(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda log: log.append(ReloadOrder("cats")), writers * 10))
    assert sorted(numbers) == list(range(1, 81))


def test_a_late_process_finds_all_orders(tmp_path: Path) -> None:
    ReloadLog(tmp_path).append(ReloadOrder("cats", []))
    late = ReloadLog(tmp_path)
    assert late.take() == (1, ReloadOrder("cats", []))


def test_an_order_waits_only_for_living_processes(tmp_path: Path) -> None:
    log = ReloadLog(tmp_path)
    number = log.append(ReloadOrder())
    assert log.take()
    log.finish(number)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / f"done-{other.pid}").write_text("[0, []]")
        assert not log.done_by_all(number)
        other.communicate(b"\n")
    assert log.done_by_all(number)
    assert [path.name for path in tmp_path.glob("done-*")] == [f"done-{os.getpid()}"]


def test_an_order_does_not_wait_for_the_process_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_number: int, _signal: int) -> None:
        raise PermissionError

    log = ReloadLog(tmp_path)
    number = log.append(ReloadOrder())
    others = tmp_path / f"done-{os.getppid()}"
    others.write_text("[0, []]")
    assert not log.done_by_all(number)
    monkeypatch.setattr(os, "kill", refuse)
    assert log.done_by_all(number)
    assert others.exists()


def test_an_order_does_not_wait_for_a_process_that_ends_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = ReloadLog(tmp_path)
    number = log.append(ReloadOrder())
    other = tmp_path / "done-1"
    other.write_text("[0, []]")

    def lives(_process: int, _signal: int) -> None:
        other.unlink()  # it ends right after the check, and another process removes its file

    monkeypatch.setattr(os, "kill", lives)
    assert log.done_by_all(number)


@pytest.mark.parametrize(
    ("order", "concerned"),
    [(ReloadOrder("cats"), [True, False, False]), (ReloadOrder(), [True, True, True])],
)
def test_an_order_concerns_its_model_or_all(order: ReloadOrder, concerned: list[bool]) -> None:
    assert [
        order.concerns(VersionKey(name, "1")) for name in ("cats", "catsuits", "dogs")
    ] == concerned


def test_orders_after_a_cleaning_of_the_folder_reach_every_process(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    supervisor, early = ReloadLog(folder), ReloadLog(folder)
    for _ in range(3):
        supervisor.append(ReloadOrder())
        early.take()
    shutil.rmtree(folder)
    assert early.take() is None
    late = ReloadLog(folder)
    assert late.take() is None
    for log, number in ((supervisor, 4), (late, 5)):
        assert log.append(ReloadOrder("cats")) == number
        assert early.take() == (number, ReloadOrder("cats"))
    assert [late.take(), late.take()] == [(4, ReloadOrder("cats")), (5, ReloadOrder("cats"))]
