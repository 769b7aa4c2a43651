"""Orders to reload while folders disappear or cannot be written."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from app.artifact import default_version, version_folders
from app.errors import ModelsFolderError
from app.registry.guarded_loader import GuardedLoader
from app.registry.registry import Registry
from app.registry.reload_log import ReloadLog, ReloadOrder
from app.registry.reloader import Reloader
from app.settings import Settings
from tests.versions import publish


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


class DisturbedLog(ReloadLog):
    """A log during whose orders something happens to a folder."""

    def __init__(self, folder: Path | None, before: Callable[[], object]) -> None:
        super().__init__(folder)
        self._before = before

    def take(self) -> tuple[int, ReloadOrder] | None:
        self._before()
        return super().take()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name in ("cats", "dogs"):
        publish(tmp_path / "models", name, 1)
    return tmp_path / "models"


def reloading(models: Path, log: ReloadLog) -> tuple[Registry, Reloader]:
    """A registry without versions, and what loads them, without trials."""
    settings = Settings(models=models, provider="cpu", load_timeout=0, load_memory=0)
    registry = Registry("cats")
    return registry, Reloader(registry, settings, log, GuardedLoader(settings))


def test_an_order_about_one_model_counts_after_one_about_all(models: Path) -> None:
    async def scenario() -> None:
        log = ReloadLog()
        registry, reloader = reloading(models, log)
        reloader.reload()
        number = log.append(ReloadOrder("cats", []))
        task = reloader.follow()
        assert task is not None
        await task
        assert list(registry.models) == ["dogs"]
        assert log.done_by_all(number)
        assert reloader.follow() is None
        await registry.close()

    run(scenario())


def test_the_version_that_stands_in_for_the_default_is_loaded_first(models: Path) -> None:
    async def scenario() -> None:
        publish(models, "cats", 3)
        default_version.write(models / "cats", 2)
        registry, reloader = reloading(models, ReloadLog())
        served: list[list[int]] = []
        registry.on_change = lambda: served.append(sorted(registry.models.get("cats", ())))
        await reloader.load("cats")
        assert served == [[1], [1, 3]]
        await registry.close()

    run(scenario())


def test_orders_that_cannot_be_written_are_reported(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        registry, reloader = reloading(models, ReloadLog(models / "missing" / "orders"))
        reloader.reload()
        assert "the models folder is not read again: " in caplog.text
        with pytest.raises(ModelsFolderError, match="no worker can be reached: "):
            await reloader.load("cats")
        assert not registry.models

    run(scenario())


def test_an_order_for_an_unreadable_folder_finishes_with_the_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = ReloadLog()
        registry, reloader = reloading(tmp_path / "missing", log)
        reloader.reload()
        task = reloader.follow()
        assert task is not None
        await task
        assert log.done_by_all(1)
        (refused,) = registry.refused
        assert refused.folder == "."
        assert "missing: cannot be read: No such file" in refused.reason

    run(scenario())


def test_an_order_finishes_in_spite_of_an_unexpected_error(
    models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("unexpected")

    async def scenario() -> None:
        log = ReloadLog()
        _, reloader = reloading(models, log)
        monkeypatch.setattr(version_folders, "scan", fail)
        reloader.reload()
        task = reloader.follow()
        assert task is not None
        await task
        assert log.done_by_all(1)
        assert "the models folder could not be read" in caplog.text
        assert "ValueError: unexpected" in caplog.text

    run(scenario())


def test_a_folder_that_disappears_during_an_order_fails_it(models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        log = DisturbedLog(None, lambda: models.exists() and models.rename(tmp_path / "gone"))
        _, reloader = reloading(models, log)
        with pytest.raises(ModelsFolderError, match=r"models: cannot be read: No such file"):
            await reloader.load("cats")

    run(scenario())


def test_an_order_that_is_lost_fails_after_the_time_limit(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.registry.reloader._WORKER_TIMEOUT", 0.1)

    async def scenario() -> None:
        orders = tmp_path / "orders"
        log = DisturbedLog(orders, lambda: shutil.rmtree(orders))
        registry, reloader = reloading(models, log)
        with pytest.raises(ModelsFolderError, match="not every worker has reloaded the models yet"):
            await reloader.load("cats")
        assert not registry.models

    run(scenario())
