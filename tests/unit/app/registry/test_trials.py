"""Trials in processes, which are scripts here, as they start faster."""

import fcntl
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.artifact import card
from app.artifact.card import CardError
from app.artifact.version_key import VersionKey
from app.registry.trial_client import TrialProcess, TrialProcessError
from app.registry.trial_request import Request
from app.registry.trials import Trials
from app.runtime.providers import Placement
from app.settings import Settings
from tests.versions import publish
from tests.waiting import PATIENCE, eventually

REQUEST = Request("models", "cats/1", ["generator.onnx"], "cpu", 1, 4, memory=0, seconds=0)
KEY = VersionKey("cats", "1")


def script(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: str) -> None:
    """Let processes for trials run a shell script."""
    path = folder / "script"
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_without_a_deadline_the_answer_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, "echo ready; read request; sleep 0.1; echo '\"a reason\"'; cat")
    process = TrialProcess()
    assert process.ask(REQUEST) == "a reason"
    assert process.alive
    process.dispose()
    assert not process.alive


def test_what_was_not_tried_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer = '{"untried": ["generator.onnx with 64 images"]}'
    script(tmp_path, monkeypatch, f"echo ready; read request; echo '{answer}'; cat")
    process = TrialProcess()
    assert process.ask(REQUEST) is None
    process.dispose()
    left_out = "cats/1 passed its trial, which left this out: generator.onnx with 64 images"
    assert caplog.messages == [left_out]


def test_a_process_that_does_not_start_blames_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, "exit 7")
    process = TrialProcess()
    with pytest.raises(TrialProcessError, match="its process does not start: exit status 7"):
        process.ask(REQUEST)
    process.dispose()


def test_an_idle_process_that_has_ended_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, "echo ready; read request; echo null; cat")
    described = card.read(publish(tmp_path, "cats", 1))
    ended = TrialProcess()
    ended.kill()
    trials = Trials(Settings(models=tmp_path), None, ended)
    assert trials.check(KEY, described, [Placement()]) == {described.variants[0].sha256}
    trials.close()


def test_nothing_is_tried_after_the_close(tmp_path: Path) -> None:
    described = card.read(publish(tmp_path, "cats", 1))
    trials = Trials(Settings(models=tmp_path), None)
    trials.close()
    with pytest.raises(CardError, match="the server is shutting down"):
        trials.check(KEY, described, [Placement()])


def test_a_process_that_the_close_ends_while_it_starts_does_not_let_a_version_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path, monkeypatch, f"touch {tmp_path}/started; exec sleep 600")
    described = card.read(publish(tmp_path, "cats", 1))
    trials = Trials(Settings(models=tmp_path), None)
    with ThreadPoolExecutor(1) as threads:
        checked = threads.submit(trials.check, KEY, described, [Placement()])
        eventually((tmp_path / "started").exists)
        trials.close()
        with pytest.raises(CardError, match="the server is shutting down"):
            checked.result(PATIENCE)


class Workers:
    """Two workers of one server, whose trials end once ``release`` is called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
        self.tried, self._go = folder / "tried", folder / "go"
        script(
            folder,
            monkeypatch,
            f"""echo ready
            while read request; do
                echo trial >> {self.tried}
                while ! [ -e {self._go} ]; do sleep 0.01; done
                echo '{answer}'
            done""",
        )
        self._described = card.read(publish(folder, "cats", 1))
        self.sha256 = self._described.variants[0].sha256
        self.trials = [Trials(Settings(models=folder), folder / "passed") for _ in range(2)]
        self._threads = ThreadPoolExecutor(2)
        self.one_waits = threading.Event()
        """One worker has found that the other one tries the version."""
        flock = fcntl.flock

        def observed(file: Any, operation: int) -> None:
            try:
                flock(file, operation)
            except BlockingIOError:
                self.one_waits.set()
                raise

        monkeypatch.setattr(fcntl, "flock", observed)

    def check(self, worker: int) -> Future[set[str]]:
        return self._threads.submit(self.trials[worker].check, KEY, self._described, [Placement()])

    def check_both(self) -> list[Future[set[str]]]:
        first = self.check(0)
        eventually(self.tried.exists)
        second = self.check(1)
        assert self.one_waits.wait(PATIENCE)
        return [first, second]

    def release(self) -> None:
        self._go.touch()

    @property
    def count(self) -> int:
        return len(self.tried.read_text().split())

    def close(self) -> None:
        self.release()
        for trials in self.trials:
            trials.close()
        self._threads.shutdown()


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Workers]]:
    started: list[Workers] = []

    def start(answer: str) -> Workers:
        started.append(Workers(tmp_path, monkeypatch, answer))
        return started[-1]

    yield start
    for one in started:
        one.close()


NewWorkers = Callable[[str], Workers]


def test_one_worker_tries_a_version_for_all(workers: NewWorkers) -> None:
    both = workers("null")
    checks = both.check_both()
    both.release()
    assert [check.result(PATIENCE) for check in checks] == [{both.sha256}] * 2
    assert both.count == 1


def test_one_worker_refuses_a_version_for_those_that_wait_but_not_for_later_orders(
    workers: NewWorkers,
) -> None:
    both = workers('"a reason"')
    checks = both.check_both()
    both.release()
    for check in (*checks, both.check(1)):
        with pytest.raises(CardError, match="a reason"):
            check.result(PATIENCE)
    assert both.count == 2


def test_a_worker_that_shuts_down_refuses_nothing_for_the_others(workers: NewWorkers) -> None:
    both = workers("null")
    checks = both.check_both()
    both.trials[0].close()
    with pytest.raises(CardError, match="ended the process"):
        checks[0].result(PATIENCE)
    both.release()
    assert checks[1].result(PATIENCE) == {both.sha256}
    assert both.count == 2


def test_a_worker_that_waits_for_another_can_shut_down(workers: NewWorkers) -> None:
    both = workers("null")
    _, waits = both.check_both()
    both.trials[1].close()
    with pytest.raises(CardError, match="the server is shutting down"):
        waits.result(PATIENCE)


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    workers: NewWorkers, tmp_path: Path
) -> None:
    both = workers("null")
    (tmp_path / "passed").touch()
    both.release()
    assert [both.check(k).result(PATIENCE) for k in range(2)] == [{both.sha256}] * 2
    assert both.count == 2
