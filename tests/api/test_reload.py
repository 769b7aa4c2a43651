"""The models folder while the server runs, through the application's own routes."""

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.artifact import version_folders
from app.batching.batcher import Batcher
from app.batching.jobs import BatcherClosedError
from app.errors import ModelsFolderError, StartupError
from app.main import create_app
from app.registry import loader, reloader
from app.registry.guarded_loader import GuardedLoader
from app.registry.registry import Registry
from app.registry.reload_log import ReloadLog
from app.registry.reloader import Reloader
from app.runtime.engine import Engine
from app.settings import Settings
from tests.versions import publish
from tests.waiting import eventually

Decode = Callable[[bytes], np.ndarray]

KEY = "administrators-key"
ADMINISTRATOR = {"X-API-Key": KEY}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path, "cats", 1)
    publish(tmp_path, "dogs", 1)
    return tmp_path


def started(folder: Path, **told: Any) -> TestClient:
    settings = Settings(
        models=folder, provider="cpu", default_model="cats", admin_keys=(SecretStr(KEY),), **told
    )
    return TestClient(create_app(settings), raise_server_exceptions=False, headers=ADMINISTRATOR)


@pytest.fixture
def server(folder: Path) -> Iterator[TestClient]:
    with started(folder) as client:
        yield client


def load(server: TestClient, name: str = "cats", **parameters: Any) -> Any:
    return server.post(f"/v2/repository/models/{name}/load", json={"parameters": parameters})


def unload(server: TestClient, name: str = "cats") -> Any:
    return server.post(f"/v2/repository/models/{name}/unload")


def index(server: TestClient) -> dict[str, tuple[str, str]]:
    told = server.post("/v2/repository/index").json()
    return {f"{one['name']}/{one['version']}": (one["state"], one["reason"]) for one in told}


def drawing(server: TestClient, model: str = "cats") -> str:
    """Which version draws."""
    answer = server.post(f"/generate?n=1&model={model}")
    assert answer.is_success, answer.text
    return str(answer.headers["X-Model"])


def test_a_version_that_appears_is_served_when_it_is_loaded(
    server: TestClient, folder: Path, decode: Decode
) -> None:
    publish(folder, "cats", 2)
    assert drawing(server) == "cats/1"
    assert load(server).json() == {}
    assert drawing(server) == "cats/2"
    assert (decode(server.get("/images/cats/2/0.png").content) == 2).all()
    assert (decode(server.get("/images/cats/1/0.png").content) == 1).all()
    assert index(server)["cats/2"] == ("READY", "")


def test_a_model_that_appears_is_served_when_it_is_loaded(server: TestClient, folder: Path) -> None:
    publish(folder, "birds", 3)
    assert load(server, "birds").is_success
    assert drawing(server, "birds") == "birds/3"


def test_a_bad_version_leaves_everything_as_it_was(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2, b"no graph")
    answer = load(server)
    assert answer.status_code == 409
    assert "cats/2/generator.onnx: " in answer.json()["error"]
    assert drawing(server) == "cats/1"
    state, reason = index(server)["cats/2"]
    assert state == "UNAVAILABLE"
    assert reason in answer.json()["error"]
    assert {"folder": "cats/2", "reason": reason} in server.get("/models").json()["refused"]
    shutil.rmtree(folder / "cats/2")
    publish(folder, "cats", 2)
    assert load(server).is_success
    assert drawing(server) == "cats/2"
    assert server.get("/models").json()["refused"] == []


def test_other_content_under_a_number_replaces_it_only_if_it_is_sound(
    server: TestClient, folder: Path
) -> None:
    card = folder / "cats/1/card.json"
    sound = card.read_text()
    card.write_text("{")
    assert load(server).status_code == 409
    assert drawing(server) == "cats/1"
    card.write_text(sound.replace('"licence": "none"', '"licence": "MIT"'))
    assert load(server).is_success
    told = server.get("/models/cats").json()["versions"][0]["card"]
    assert told["dataset"]["licence"] == "MIT"


def test_a_folder_that_is_gone_is_retired(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2)
    assert load(server).is_success
    shutil.rmtree(folder / "cats/2")
    assert drawing(server) == "cats/2"
    assert load(server).is_success
    assert drawing(server) == "cats/1"
    shutil.rmtree(folder / "cats")
    assert load(server).is_success
    assert server.post("/generate?model=cats").status_code == 404
    assert drawing(server, "dogs") == "dogs/1"
    assert load(server).status_code == 404


def test_an_unloaded_model_is_not_found_until_it_is_loaded(server: TestClient) -> None:
    assert unload(server).json() == {}
    assert server.post("/generate?model=cats").status_code == 404
    assert server.get("/v2/models/cats").status_code == 404
    assert index(server)["cats/1"] == ("UNAVAILABLE", "unloaded on request")
    assert server.post("/generate").headers["X-Model"] == "dogs/1"
    assert unload(server).is_success
    assert unload(server, "dogs").is_success
    ready = server.get("/v2/health/ready")
    assert (ready.status_code, "unloaded on request" in ready.text) == (503, True)
    assert load(server).is_success
    assert drawing(server) == "cats/1"


def test_a_model_is_rolled_back_and_forth(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2)
    publish(folder, "cats", 3)
    assert load(server).is_success
    assert drawing(server) == "cats/3"
    assert load(server, versions=[1, 2]).is_success
    assert drawing(server) == "cats/2"
    assert index(server)["cats/3"] == ("UNAVAILABLE", "unloaded on request")
    assert load(server).is_success
    assert drawing(server) == "cats/3"


def test_nothing_is_rolled_back_to_what_cannot_be_served(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2, b"no graph")
    assert load(server, versions=[2]).status_code == 409
    assert drawing(server) == "cats/1"


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("lions/load", {}, 404, "model is 'lions' but must be one of cats, dogs"),
        ("lions/unload", {}, 404, "model is 'lions' but must be one of cats, dogs"),
        ("cats/load", {"versions": [1, 7]}, 404, "versions is 7 but must be one of 1"),
        ("cats/load", {"versions": []}, 422, "versions is []"),
        ("cats/load", {"config": "{}"}, 422, "config is '{}' but must be left out"),
        ("..%2Fcats/load", {}, 404, "Not Found"),
        ("..cats/load", {}, 422, "model is '..cats'"),
    ],
)
def test_what_cannot_be_ordered_is_refused(
    server: TestClient, path: str, body: dict[str, Any], status: int, reason: str
) -> None:
    answer = server.post(f"/v2/repository/models/{path}", json={"parameters": body})
    assert answer.status_code == status
    assert reason in answer.json()["error"]
    assert drawing(server) == "cats/1"


def test_a_models_folder_that_cannot_be_read_changes_nothing(
    server: TestClient, folder: Path
) -> None:
    away = folder.rename(folder.with_name("away"))
    answer = load(server)
    assert answer.status_code == 409
    assert "cannot be read: No such file" in answer.json()["error"]
    assert drawing(server) == "cats/1"
    away.rename(folder)
    assert load(server).is_success
    assert server.get("/models").json()["refused"] == []


def test_an_unreadable_folder_changes_nothing_for_the_others(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, unreadable = Path.iterdir, {"lost+found", "dogs"}

    def readable(path: Path) -> Path:
        if path.name in unreadable:
            raise PermissionError(13, "Permission denied")
        return path

    monkeypatch.setattr(Path, "iterdir", lambda path: entries(readable(path)))
    (folder / "lost+found").mkdir()
    publish(folder, "cats", 2)
    assert load(server).is_success
    assert drawing(server) == "cats/2"
    answer = load(server, "dogs")
    assert answer.status_code == 409
    assert "dogs: cannot be read: Permission denied" in answer.json()["error"]
    assert drawing(server, "dogs") == "dogs/1"
    assert [one["folder"] for one in refused(server)] == ["dogs", "lost+found"]
    unreadable.clear()
    assert load(server, "dogs").is_success
    assert refused(server) == []


@pytest.mark.parametrize("error", [StartupError("no provider"), ZeroDivisionError("no provider")])
def test_what_fails_unforeseen_is_no_version(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    publish(folder, "cats", 2)
    with monkeypatch.context() as patch:
        patch.setattr(loader, "load", broken)
        assert "no provider" in load(server).json()["error"]
    assert drawing(server) == "cats/1"
    assert load(server).is_success


def test_what_fails_unforeseen_ends_no_watch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError

    with started(folder, watch=0.05) as server:
        with monkeypatch.context() as patch:
            patch.setattr(version_folders, "scan", broken)
            eventually(lambda: "could not be read" in caplog.text)
        publish(folder, "cats", 2)
        eventually(lambda: drawing(server) == "cats/2")


def test_an_order_that_another_worker_does_not_follow_is_told(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    monkeypatch.setattr(reloader, "_WORKER_TIMEOUT", 0.3)
    settings = Settings(models=folder, provider="cpu")
    registry = Registry.load(settings)
    alone = Reloader(registry, settings, ReloadLog(shared), GuardedLoader(settings))

    async def scenario(other: "subprocess.Popen[bytes]") -> None:
        async with alone.running():
            await alone.unload("cats")
            (shared / f"done-{other.pid}").write_text("[1, []]")
            with pytest.raises(ModelsFolderError, match="not every worker has followed"):
                await alone.load("cats")
            other.communicate(b"\n")
            await alone.load("cats")

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        asyncio.run(scenario(other))


def closed(batcher: Batcher) -> bool:
    try:
        batcher.check(None, 1)
    except BatcherClosedError:
        return True
    return False


def test_requests_finish_on_the_version_that_they_began_with(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = server.app.state.services.registry  # type: ignore[attr-defined]
    batcher = registry.find("cats").batcher
    compute, entered, release = Engine.__call__, threading.Event(), threading.Event()

    def held(engine: Engine, rows: dict[str, np.ndarray]) -> np.ndarray:
        entered.set()
        assert release.wait(60)
        return compute(engine, rows)

    with ThreadPoolExecutor() as threads, monkeypatch.context() as patch:
        patch.setattr(Engine, "__call__", held)
        begun = [threads.submit(drawing, server)]
        assert entered.wait(60)
        begun += [threads.submit(drawing, server) for _ in range(2)]
        eventually(lambda: batcher.waiting == 2)
        patch.undo()
        assert unload(server).is_success
        publish(folder, "cats", 2)
        assert load(server, versions=[2]).is_success
        assert drawing(server) == "cats/2"
        assert not any(request.done() for request in begun)
        release.set()
        assert [request.result() for request in begun] == ["cats/1"] * 3
    eventually(lambda: closed(batcher))  # after the last request that held it


def test_orders_of_one_model_are_carried_out_one_after_the_other(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, "cats", 2)
    at_once, most, really = 0, 0, loader.load

    def counted(*arguments: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)
        at_once -= 1
        return really(*arguments)

    monkeypatch.setattr(loader, "load", counted)
    with ThreadPoolExecutor(8) as threads:
        orders = [threads.submit(load, server), threads.submit(unload, server)] * 2
        orders += [threads.submit(load, server) for _ in range(4)]
    assert all(order.result().is_success for order in orders)
    assert most == 1
    assert load(server).is_success
    assert drawing(server) == "cats/2"


def test_a_watched_folder_is_followed(folder: Path) -> None:
    with started(folder, watch=0.05) as server:
        publish(folder, "cats", 2)
        eventually(lambda: drawing(server) == "cats/2")
        shutil.rmtree(folder / "cats/2")
        eventually(lambda: drawing(server) == "cats/1")
        away = folder.rename(folder.with_name("away"))
        eventually(lambda: any(one["folder"] == "." for one in refused(server)))
        assert drawing(server) == "cats/1"
        away.rename(folder)
        eventually(lambda: refused(server) == [])


def refused(server: TestClient) -> list[dict[str, str]]:
    return list(server.get("/models").json()["refused"])


def test_a_copy_that_was_long_interrupted_is_served_once_it_is_whole(folder: Path) -> None:
    whole = publish(folder.with_name("elsewhere"), "cats", 2)
    copy = folder / "cats/2"
    with started(folder, watch=0.05) as server:
        copy.mkdir()
        eventually(lambda: [one["folder"] for one in refused(server)] == ["cats/2"])
        for name in ("card.json", "generator.onnx"):
            shutil.copy(whole / name, copy)
        eventually(lambda: drawing(server) == "cats/2")
        assert refused(server) == []
