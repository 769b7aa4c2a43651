"""Hot reload through the application's routes: load, unload, roll back, watch the folder."""

import asyncio
import gc
import shutil
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from app.artifact import version_folders
from app.errors import ModelsFolderError, StartupError
from app.main import create_app
from app.registry import loader, reloader
from app.registry.guarded_loader import GuardedLoader
from app.registry.registry import Registry
from app.registry.reload_log import ReloadLog
from app.registry.reloader import Reloader
from app.settings import Settings
from tests.drawing import closed
from tests.engines import BlockedEngine, occupied, version
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


def started(folder: Path, **options: Any) -> TestClient:
    settings = Settings(
        models=folder, provider="cpu", default_model="cats", admin_keys=(SecretStr(KEY),), **options
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
    """Return the state and the reason of every version."""
    index = server.post("/v2/repository/index").json()
    return {f"{one['name']}/{one['version']}": (one["state"], one["reason"]) for one in index}


def current_version(server: TestClient, model: str = "cats") -> str:
    """Return which version generates an image of ``model``."""
    response = server.post(f"/generate?n=1&model={model}")
    assert response.is_success, response.text
    return str(response.headers["X-Model"])


def test_a_new_version_is_served_once_it_is_loaded(
    server: TestClient, folder: Path, decode: Decode
) -> None:
    publish(folder, "cats", 2)
    assert current_version(server) == "cats/1"
    assert load(server).json() == {}
    assert current_version(server) == "cats/2"
    assert (decode(server.get("/images/cats/2/0.png").content) == 2).all()
    assert (decode(server.get("/images/cats/1/0.png").content) == 1).all()
    assert index(server)["cats/2"] == ("READY", "")


def test_a_retired_version_leaves_memory_without_the_garbage_collector(server: TestClient) -> None:
    """The collector ignores what was loaded at the start, see ``_models_loaded``."""
    assert current_version(server) == "cats/1"
    engine = weakref.ref(version(server, "cats").engine)
    gc.disable()
    try:
        assert unload(server).is_success
        eventually(lambda: engine() is None)
    finally:
        gc.enable()


def test_a_full_queue_refuses_nobody_once_another_version_serves(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(folder, max_images=16, max_queue=16) as server:
        engine = BlockedEngine(server, monkeypatch, "cats")
        with occupied(server, engine, 16, model="cats"):
            for _ in range(2):
                assert server.post("/generate?n=1").status_code == 503
            publish(folder, "cats", 2)
            assert load(server).is_success
            assert server.post("/generate?n=1").headers["X-Model"] == "cats/2"
            assert server.post("/generate?n=1&version=1").status_code == 503


def test_a_new_model_is_served_once_it_is_loaded(server: TestClient, folder: Path) -> None:
    publish(folder, "birds", 3)
    assert load(server, "birds").is_success
    assert current_version(server, "birds") == "birds/3"


def test_a_damaged_version_changes_nothing_but_its_reason(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2, b"no graph")
    response = load(server)
    assert response.status_code == 409
    assert "cats/2/generator.onnx: " in response.json()["error"]
    assert current_version(server) == "cats/1"
    state, reason = index(server)["cats/2"]
    assert state == "UNAVAILABLE"
    assert reason in response.json()["error"]
    assert {"folder": "cats/2", "reason": reason} in server.get("/models").json()["refused"]
    shutil.rmtree(folder / "cats/2")
    publish(folder, "cats", 2)
    assert load(server).is_success
    assert current_version(server) == "cats/2"
    assert server.get("/models").json()["refused"] == []


def test_changed_content_of_a_version_is_served_only_if_it_is_valid(
    server: TestClient, folder: Path
) -> None:
    card = folder / "cats/1/card.json"
    valid = card.read_text()
    card.write_text("{")
    assert load(server).status_code == 409
    assert current_version(server) == "cats/1"
    card.write_text(valid.replace('"licence": "none"', '"licence": "MIT"'))
    assert load(server).is_success
    described = server.get("/models/cats").json()["versions"][0]["card"]
    assert described["dataset"]["licence"] == "MIT"


def test_a_version_is_retired_once_its_folder_is_removed(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2)
    assert load(server).is_success
    shutil.rmtree(folder / "cats/2")
    assert current_version(server) == "cats/2"
    assert load(server).is_success
    assert current_version(server) == "cats/1"
    shutil.rmtree(folder / "cats")
    assert load(server).is_success
    assert server.post("/generate?model=cats").status_code == 404
    assert current_version(server, "dogs") == "dogs/1"
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
    assert current_version(server) == "cats/1"


def test_a_model_is_rolled_back_and_forward(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2)
    publish(folder, "cats", 3)
    assert load(server).is_success
    assert current_version(server) == "cats/3"
    assert load(server, versions=[1, 2]).is_success
    assert current_version(server) == "cats/2"
    assert index(server)["cats/3"] == ("UNAVAILABLE", "unloaded on request")
    assert load(server).is_success
    assert current_version(server) == "cats/3"


def test_a_model_is_not_rolled_back_to_a_damaged_version(server: TestClient, folder: Path) -> None:
    publish(folder, "cats", 2, b"no graph")
    assert load(server, versions=[2]).status_code == 409
    assert current_version(server) == "cats/1"


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("lions/load", {}, 404, "model is 'lions' but must be one of cats, dogs"),
        ("lions/unload", {}, 404, "model is 'lions' but must be one of cats, dogs"),
        ("cats/load", {"versions": [1, 7]}, 404, "versions is 7 but must be one of 1"),
        ("cats/load", {"versions": []}, 422, "versions is []"),
        ("cats/load", {"config": "{}"}, 422, "left out: it is not one of the parameters versions"),
        ("cats/load?versions=1", {}, 422, "versions is '1' but must be sent in the body, not in"),
        ("..%2Fcats/load", {}, 404, "Not Found"),
        ("..cats/load", {}, 422, "model is '..cats'"),
    ],
)
def test_an_invalid_order_is_refused(
    server: TestClient, path: str, body: dict[str, Any], status: int, reason: str
) -> None:
    response = server.post(f"/v2/repository/models/{path}", json={"parameters": body})
    assert response.status_code == status
    assert reason in response.json()["error"]
    assert current_version(server) == "cats/1"


def test_the_index_is_not_filtered_by_the_query(server: TestClient) -> None:
    response = server.post("/v2/repository/index?ready=true")
    assert response.status_code == 422
    assert (
        response.json()["error"] == "ready is 'true' but must be sent in the body, not in the query"
    )


def test_an_unreadable_models_folder_changes_nothing(server: TestClient, folder: Path) -> None:
    away = folder.rename(folder.with_name("away"))
    response = load(server)
    assert response.status_code == 409
    assert "cannot be read: No such file" in response.json()["error"]
    assert current_version(server) == "cats/1"
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
    assert current_version(server) == "cats/2"
    answer = load(server, "dogs")
    assert answer.status_code == 409
    assert "dogs: cannot be read: Permission denied" in answer.json()["error"]
    assert current_version(server, "dogs") == "dogs/1"
    assert [one["folder"] for one in refused(server)] == ["dogs", "lost+found"]
    unreadable.clear()
    assert load(server, "dogs").is_success
    assert refused(server) == []


@pytest.mark.parametrize("error", [StartupError("no provider"), ZeroDivisionError("no provider")])
def test_an_unexpected_exception_refuses_only_the_version(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object) -> None:
        raise error

    publish(folder, "cats", 2)
    with monkeypatch.context() as patch:
        patch.setattr(loader, "load", broken)
        assert "no provider" in load(server).json()["error"]
    assert current_version(server) == "cats/1"
    assert load(server).is_success


def test_an_unexpected_exception_does_not_end_the_watch(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError

    with started(folder, watch=0.05) as server:
        with monkeypatch.context() as patch:
            patch.setattr(version_folders, "scan", broken)
            eventually(lambda: "could not be read" in caplog.text)
        publish(folder, "cats", 2)
        eventually(lambda: current_version(server) == "cats/2")


def test_an_order_that_another_worker_does_not_carry_out_is_an_error(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    settings = Settings(models=folder, provider="cpu")
    registry = Registry.load(settings)
    reloads = Reloader(registry, settings, ReloadLog(shared), GuardedLoader(settings))

    async def scenario(other: "subprocess.Popen[bytes]") -> None:
        async with reloads.running():
            await reloads.unload("cats")
            (shared / f"done-{other.pid}").write_text("[1, []]")
            with monkeypatch.context() as patch:
                patch.setattr(reloader, "_WORKER_TIMEOUT", 0.3)
                with pytest.raises(ModelsFolderError, match="not every worker has reloaded"):
                    await reloads.load("cats")
            other.communicate(b"\n")
            await reloads.load("cats")

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        asyncio.run(scenario(other))


def test_requests_finish_on_the_version_with_which_they_began(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, engine = version(server, "cats"), BlockedEngine(server, monkeypatch, "cats")
    with ThreadPoolExecutor() as threads:
        begun = [threads.submit(current_version, server)]
        assert engine.entered.wait(60)
        begun += [threads.submit(current_version, server) for _ in range(2)]
        eventually(lambda: old.batcher.waiting == 2)
        assert unload(server).is_success
        publish(folder, "cats", 2)
        assert load(server, versions=[2]).is_success
        assert current_version(server) == "cats/2"
        assert not any(request.done() for request in begun)
        engine.release.set()
        assert [request.result() for request in begun] == ["cats/1"] * 3
    eventually(lambda: closed(old))  # once the last lease on it is released


def test_concurrent_orders_are_carried_out_one_after_another(
    server: TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, "cats", 2)
    running, most, original = 0, 0, loader.load

    def counted(*arguments: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.02)
        running -= 1
        return original(*arguments)

    monkeypatch.setattr(loader, "load", counted)
    with ThreadPoolExecutor(8) as threads:
        orders = [threads.submit(load, server), threads.submit(unload, server)] * 2
        orders += [threads.submit(load, server) for _ in range(4)]
    assert all(order.result().is_success for order in orders)
    assert load(
        server
    ).is_success  # orders are taken together, and the last may have been to unload
    assert most == 1
    assert current_version(server) == "cats/2"


def test_changes_of_a_watched_folder_are_served(folder: Path) -> None:
    with started(folder, watch=0.05) as server:
        publish(folder, "cats", 2)
        eventually(lambda: current_version(server) == "cats/2")
        shutil.rmtree(folder / "cats/2")
        eventually(lambda: current_version(server) == "cats/1")
        away = folder.rename(folder.with_name("away"))
        eventually(lambda: any(one["folder"] == "." for one in refused(server)))
        assert current_version(server) == "cats/1"
        away.rename(folder)
        eventually(lambda: refused(server) == [])


def refused(server: TestClient) -> list[dict[str, str]]:
    return list(server.get("/models").json()["refused"])


def test_an_interrupted_copy_is_served_once_it_is_complete(folder: Path) -> None:
    complete = publish(folder.with_name("elsewhere"), "cats", 2)
    copy = folder / "cats/2"
    with started(folder, watch=0.05) as server:
        copy.mkdir()
        eventually(lambda: [one["folder"] for one in refused(server)] == ["cats/2"])
        for name in ("card.json", "generator.onnx"):
            shutil.copy(complete / name, copy)
        eventually(lambda: current_version(server) == "cats/2")
        assert refused(server) == []
