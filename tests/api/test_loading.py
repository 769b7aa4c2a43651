"""Versions are tried before they are loaded, and none of them delays the others."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.errors import StartupError
from app.main import Start, create_app
from app.registry import loader, reloader, trials
from app.registry.trial_client import TrialProcess
from app.registry.trial_request import Request
from app.settings import Settings
from tests import hostile
from tests.versions import publish
from tests.waiting import PATIENCE, eventually, scaled

KEY = "administrators-key"


@pytest.fixture(scope="module", autouse=True)
def _no_trials() -> None:
    """Replaces the fixture that disables trials."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path / "models", "cats", 1)
    return tmp_path / "models"


def application(folder: Path, start_seconds: float = 600, **changes: Any) -> TestClient:
    settings = Settings.model_validate(
        {
            "models": folder,
            "provider": "cpu",
            "default_model": "cats",
            "admin_keys": (SecretStr(KEY),),
            "load_timeout": PATIENCE,
            **changes,
        }
    )
    app = create_app(settings, start=Start(start_seconds))
    return TestClient(app, raise_server_exceptions=False, headers={"X-API-Key": KEY})


def refused(client: TestClient) -> dict[str, str]:
    listed = client.get("/models").json()["refused"]
    return {one["folder"]: one["reason"] for one in listed}


def load(client: TestClient, name: str) -> Any:
    return client.post(f"/v2/repository/models/{name}/load")


def publish_endless(folder: Path, name: str = "endless", images: int = 1) -> None:
    publish(folder, name, 1, hostile.endless(name, 1, images))


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> dict[str, TrialProcess]:
    """The last process that tried each version. Only endless versions have a limit in time."""
    found, ask = {}, TrialProcess.ask

    def observed(process: TrialProcess, request: Request) -> str | None:
        found[request.version] = process
        limited = request.version.startswith("endless/")
        return ask(process, request if limited else replace(request, seconds=0))

    monkeypatch.setattr(TrialProcess, "ask", observed)
    return found


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("images", [1, 4])
def test_a_graph_that_never_ends_is_refused_with_its_reason(folder: Path, images: int) -> None:
    publish_endless(folder, images=images)
    limit = scaled(1)  # of which two images take so little that four are tried, too
    with application(folder, load_timeout=limit, max_batch=4) as client:
        (reason,) = refused(client).values()
        assert reason == f"endless/1: does not load and run within {limit:g} s (load_timeout)"
        assert client.post("/generate?n=1").headers["X-Model"] == "cats/1"
        if images == 1:  # one order is enough: it is tried in the same way
            answer = load(client, "endless")
            assert answer.status_code == 409
            assert "load_timeout" in answer.json()["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's data")
def test_a_graph_that_fills_the_memory_is_refused_with_its_reason(folder: Path) -> None:
    publish(folder, "hungry", 1, hostile.hungry("hungry", 1, 3))
    with application(folder, load_memory=2**29, load_timeout=PATIENCE) as client:
        reason = refused(client)["hungry/1"]
        assert "hungry/1/generator.onnx: the model does not run: needs more than" in reason
        assert "bytes (load_memory)" in reason
        assert client.post("/generate?n=1").is_success


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Loading "slow" waits for this event."""
    event, really = threading.Event(), loader.load

    def slow(folder: Path, *arguments: Any) -> object:
        if folder.parent.name == "slow":
            assert event.wait(PATIENCE)
        return really(folder, *arguments)

    monkeypatch.setattr(loader, "load", slow)
    yield event
    event.set()


def test_other_orders_go_on_while_a_version_is_tried(
    folder: Path, processes: dict[str, TrialProcess]
) -> None:
    publish(folder, "dogs", 1)
    with application(folder, load_timeout=600) as client:
        publish_endless(folder)
        publish(folder, "cats", 2)
        answers: list[Any] = []
        order = threading.Thread(target=lambda: answers.append(load(client, "endless")))
        order.start()
        eventually(lambda: client.get("/health/ready").json()["loading"] == ["endless/1"])
        assert load(client, "cats").is_success
        assert client.post("/generate?n=1").headers["X-Model"] == "cats/2"
        assert client.post("/v2/repository/models/dogs/unload").is_success
        assert client.post("/generate?model=dogs").status_code == 404
        assert not answers
        processes["endless/1"].kill()
        order.join()
        assert answers[0].status_code == 409


def test_it_is_ready_when_the_default_model_is_and_reports_the_others_as_loading(
    folder: Path, blocked: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is: versions are loaded one by one, and "slow" would be the first.
    monkeypatch.setattr(reloader, "_HEAD_START", PATIENCE)
    publish(folder, "slow", 1)
    with application(folder, start_seconds=0, load_timeout=60) as client:
        eventually(lambda: client.get("/health/ready").status_code == 200)
        ready = client.get("/health/ready").json()
        assert [one["model"] for one in ready["models"]] == ["cats"]
        eventually(lambda: client.get("/health/ready").json()["loading"] == ["slow/1"])
        assert client.get("/models").json()["loading"] == ["slow/1"]
        states = {one["name"]: one["state"] for one in client.post("/v2/repository/index").json()}
        assert states == {"cats": "READY", "slow": "LOADING"}
        for path in ("/generate?model=slow", "/generate?model=slow&version=1"):
            answer = client.post(path)
            assert answer.status_code == 503
            assert answer.json()["detail"] == "slow/1 is being loaded"
        blocked.set()
        eventually(lambda: client.post("/generate?model=slow").is_success)
        assert client.get("/health/ready").json()["loading"] == []


def test_it_is_not_ready_while_the_default_model_is_loaded(
    folder: Path, blocked: threading.Event
) -> None:
    publish(folder, "slow", 1)
    with application(folder, start_seconds=0, default_model="slow", load_timeout=60) as client:
        eventually(lambda: "slow/1 is being loaded" in client.get("/health/ready").text)
        assert client.get("/health/ready").status_code == 503
        assert client.post("/generate").status_code == 503
        assert client.get("/models").json()["default"] is None
        blocked.set()
        eventually(lambda: client.get("/health/ready").status_code == 200)


def test_a_provider_that_does_not_start_ends_the_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StartupError("provider=cuda does not start")

    monkeypatch.setattr(loader, "load", broken)
    with pytest.raises(StartupError, match="does not start"), application(folder):
        pass
    failures: list[StartupError] = []
    settings = Settings(models=folder, provider="cpu")
    app = create_app(settings, start=Start(0, failures.append))
    with TestClient(app):
        eventually(lambda: [str(one) for one in failures] == ["provider=cuda does not start"])


def test_without_limits_there_is_no_trial(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "TrialProcess", None)
    with application(folder, load_timeout=0, load_memory=0) as client:
        assert client.post("/generate?n=1").is_success


def test_a_version_that_passed_is_not_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application(folder, state_folder=tmp_path / "state", load_timeout=60) as client:
        assert client.post("/generate?n=1").is_success
    passed = [one for one in (tmp_path / "state/passed").iterdir() if not one.suffix]
    assert len(passed) == 1
    monkeypatch.setattr(trials, "TrialProcess", None)
    with application(folder, state_folder=tmp_path / "state", load_timeout=60) as client:
        assert client.post("/generate?n=1").is_success
        publish(folder, "dogs", 1)
        assert load(client, "dogs").status_code == 409  # this one would need a trial
        assert client.post("/generate?n=1").is_success


def test_a_machine_that_cannot_start_a_trial_serves_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with application(folder) as client:
        assert client.post("/generate?n=1").is_success
    assert "cats/1 is loaded without a trial: no process can be started" in caplog.text


@pytest.mark.parametrize("name", ["file", "x" * 300], ids=["a file", "not accessible"])
def test_a_state_folder_that_cannot_be_written_is_reported_and_ignored(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (tmp_path / "file").touch()
    with application(folder, state_folder=tmp_path / name, load_timeout=60) as client:
        assert client.post("/generate?n=1").is_success
    assert "cannot remember crashes there" in caplog.text
