"""``python -m app`` in this process: what it returns, with uvicorn replaced."""

import errno
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from app import __main__
from app.errors import StartupError
from app.main import Start, create_app
from app.observability import logs
from app.settings import Settings

Replace = Callable[[Callable[[Start], None]], None]


@pytest.fixture
def replace_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replace]:
    """Replaces the server by a function that receives how the application would start."""
    monkeypatch.setattr(logs, "config", lambda _: None)
    before = signal.getsignal(signal.SIGTERM)

    def replace(run: Callable[[Start], None]) -> None:
        def run_server(server: uvicorn.Server, _: object) -> None:
            run(server.config.app.keywords["start"])  # type: ignore[union-attr]

        monkeypatch.setattr(uvicorn.Server, "run", run_server)

    yield replace
    signal.signal(signal.SIGTERM, before)


# Without these limits no process for trials is started.
_NO_TRIALS = ["--port", "0", "--load-timeout", "0", "--load-memory", "0"]


@pytest.mark.parametrize(
    ("raised", "status", "printed"),
    [
        (KeyboardInterrupt(), 0, ""),
        (StartupError("no such provider"), 1, "error: no such provider\n"),
    ],
)
def test_only_a_failure_to_start_is_an_error(
    replace_server: Replace,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    status: int,
    printed: str,
) -> None:
    def run(_: Start) -> None:
        raise raised

    replace_server(run)
    assert __main__.main(_NO_TRIALS) == status
    assert capsys.readouterr().err == printed


@pytest.mark.usefixtures("replace_server")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_sigterm_ends_it_before_the_server_has_been_imported(
    monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """Process 1 of a container ignores a signal without a handler."""

    def stop(_: Path) -> None:
        assert callable(signal.getsignal(signal.SIGTERM))
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("app.artifact.models_folder.misplaced", stop)
    with pytest.raises(SystemExit) as ended:
        __main__.main([*_NO_TRIALS, "--workers", workers])
    assert ended.value.code == 0


def test_a_server_starts_although_no_process_for_trials_can(
    replace_server: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts, starts = [], []

    def refuse(command: list[str], **_: object) -> None:
        attempts.append(command)
        raise BlockingIOError

    monkeypatch.setattr(subprocess, "Popen", refuse)
    replace_server(starts.append)
    assert __main__.main(["--port", "0", "--load-timeout", "60"]) == 0
    assert len(attempts) == 1
    assert [start.trial_process for start in starts] == [None]


def test_a_provider_that_fails_later_ends_the_process_after_its_log_is_written(
    replace_server: Replace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(logging, "shutdown", lambda: calls.append("log"))
    monkeypatch.setattr(os, "_exit", calls.append)

    def run(start: Start) -> None:
        assert start.on_failure
        start.on_failure(StartupError("the GPU is lost"))

    replace_server(run)
    __main__.main(_NO_TRIALS)
    assert calls == ["log", 1]
    assert capsys.readouterr().err == "error: the GPU is lost\n"


@pytest.mark.parametrize("command", [["render", "--out", "x", "--count", "1"], ["--port", "0"]])
def test_a_models_folder_that_cannot_be_meant_is_an_error_with_the_right_one(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
) -> None:
    monkeypatch.chdir(root)
    assert __main__.main([*command, "--models", "models/faces"]) == 1
    words = capsys.readouterr().err
    assert words.startswith("error: models is 'models/faces', which is the folder of one model")
    assert words.endswith("write --models models\n")


def test_an_empty_path_is_an_error_that_names_its_setting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for arguments, name in (
        (["--models="], "models"),
        (["render", "--out=", "--count=1"], "out"),
        (["push", "", "hf://person/repository"], "folder"),
    ):
        assert __main__.main(arguments) == 2
        assert capsys.readouterr().err == f"error: {name}: must be a path, not ''\n"


def test_the_application_refuses_such_a_folder_too(root: Path) -> None:
    with pytest.raises(StartupError, match="which is the folder of one model"):
        create_app(Settings(models=root / "models" / "faces", provider="cpu"))


def test_another_directory_is_named_with_the_models(
    replace_server: Replace,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    advice = f"models is 'models', which does not exist in {tmp_path}: write --models {root}/models"
    assert __main__.main(["render", "--out", "x", "--count", "1"]) == 1
    assert capsys.readouterr().err == f"error: {advice}\n"
    replace_server(lambda _: None)
    assert __main__.main(_NO_TRIALS) == 0
    assert capsys.readouterr().err == f"warning: {advice}\n"


def test_without_a_writable_temporary_folder_workers_do_not_start(
    monkeypatch: pytest.MonkeyPatch, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.chdir(root)
    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    assert __main__.main(["--port", "0", "--workers", "2"]) == 1
    words = capsys.readouterr().err
    assert words.startswith("error: workers share their counters in a temporary folder")
    assert "TMPDIR" in words
