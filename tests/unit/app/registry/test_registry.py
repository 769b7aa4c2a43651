import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from app.artifact.version_folders import Scan
from app.artifact.version_key import VersionKey
from app.errors import NotReadyError
from app.registry.model_version import ModelVersion
from app.registry.registry import Registry
from app.settings import Settings
from tests.drawing import closed, closes, draw

Load = Callable[[int], ModelVersion]


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_a_replaced_version_is_retired(load: Load) -> None:
    async def scenario() -> None:
        registry, old, new = Registry("cats"), load(1), load(1)
        registry.add(old)
        old.acquire()
        registry.add(new)
        assert registry.find("cats", 1) is new
        assert await draw(old) == 1
        old.release()
        await closes(old)
        assert await draw(new) == 1
        await registry.close()

    run(scenario())


def test_retire_returns_whether_the_version_was_in_service(load: Load) -> None:
    async def scenario() -> None:
        registry, version = Registry("cats"), load(1)
        registry.add(version)
        assert await draw(version) == 1
        assert registry.retire(VersionKey("cats", "1"))
        await closes(version)
        for key in (VersionKey("cats", "1"), VersionKey("cats", "latest"), VersionKey("dogs", "1")):
            assert not registry.retire(key)

    run(scenario())


def test_a_model_that_is_being_loaded_is_named_by_its_default_version() -> None:
    registry = Registry("cats")
    registry.note(Scan({}, {}, {"cats": 2}))
    registry.loading = {VersionKey("cats", str(number)) for number in range(1, 20)}
    for version, named in ((None, 2), (7, 7)):
        with pytest.raises(NotReadyError, match=rf"^cats/{named} is being loaded$"):
            registry.find("cats", version)
    registry.loading = {VersionKey("cats", "latest")}
    with pytest.raises(NotReadyError, match=r"^cats/latest is being loaded$"):
        registry.find("cats")


def test_a_models_folder_is_empty_only_once_it_has_been_read() -> None:
    registry = Registry("cats")
    with pytest.raises(NotReadyError, match=r"folder is being read$"):
        registry.find()
    registry.note(Scan({}, {}))
    with pytest.raises(NotReadyError, match=r"folder is empty$"):
        registry.find()


def test_close_finishes_queued_images_and_closes_every_version(load: Load) -> None:
    async def scenario() -> None:
        registry, versions = Registry("cats"), [load(1), load(2)]
        for version in versions:
            registry.add(version)
        images = [asyncio.create_task(draw(version)) for version in versions for _ in range(3)]
        await asyncio.sleep(0)  # the tasks start
        await registry.close()
        assert [await image for image in images] == [1, 1, 1, 2, 2, 2]
        assert all(map(closed, versions))

    run(scenario())


def test_without_a_models_folder_the_registry_is_empty_and_has_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    registry = Registry.load(Settings(models=missing, provider="cpu"))
    assert not registry.models
    (refused,) = registry.refused
    assert (refused.key, refused.folder) == (None, ".")
    assert refused.reason == f"{missing}: cannot be read: No such file or directory"
