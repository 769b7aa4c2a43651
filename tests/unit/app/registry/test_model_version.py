import asyncio
from collections.abc import Callable, Coroutine

import pytest

from app.errors import ShuttingDownError
from app.registry.model_version import ModelVersion
from tests.drawing import closes, draw

Load = Callable[[int], ModelVersion]


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_a_retired_version_closes_when_its_last_lease_is_released(load: Load) -> None:
    async def scenario() -> None:
        version = load(3)
        version.acquire()
        version.acquire()
        version.retire()
        assert await draw(version) == 3
        version.release()
        assert await draw(version) == 3
        version.release()
        await closes(version)
        with pytest.raises(ShuttingDownError):
            await draw(version)

    run(scenario())


def test_a_version_without_leases_closes_when_it_is_retired(load: Load) -> None:
    async def scenario() -> None:
        version = load(3)
        version.acquire()
        version.release()
        assert await draw(version) == 3
        version.retire()
        await closes(version)

    run(scenario())


def test_images_that_are_being_generated_keep_a_retired_version_open(load: Load) -> None:
    async def scenario() -> None:
        version = load(3)
        images = asyncio.create_task(draw(version))
        await asyncio.sleep(0)  # the task starts
        version.retire()
        assert await images == 3
        await closes(version)

    run(scenario())
