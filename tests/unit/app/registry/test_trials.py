"""Trials in processes, which are scripts here, as they start faster."""

import sys
from pathlib import Path

import pytest

from app.artifact import card
from app.artifact.card import CardError
from app.artifact.version_key import VersionKey
from app.registry.trial_client import Request, TrialProcess, TrialProcessError
from app.registry.trials import Trials
from app.runtime.providers import Placement
from app.settings import Settings
from tests.versions import publish

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
