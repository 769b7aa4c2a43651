import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import numpy as np
import pytest

from app.batching.jobs import ANONYMOUS
from app.errors import ShuttingDownError
from app.latent import sampling
from app.registry import loader
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs
from app.settings import Settings
from tests import conditional, encoding, painting
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


@pytest.mark.parametrize("name", ["shoes", "people"])
def test_a_seed_determines_the_latent_and_the_condition_of_its_image(
    tmp_path: Path, name: str
) -> None:
    conditional.publish(name, tmp_path)
    version = loader.load(tmp_path / name / "1", Settings(models=tmp_path, provider="cpu"))
    seeds = [*range(9)]
    sampler = version.card.sampler
    assert sampler
    latents, conditions = sampling.from_seeds(seeds, 8), sampler.from_seeds(seeds)
    assert len(np.unique(conditions, axis=0)) > 1

    async def drawn(rows: GraphInputs) -> object:
        return (await version.compute(rows, ANONYMOUS)).results

    async def scenario() -> None:
        # Merged into one batch, as the engine is busy with the first.
        images = await asyncio.gather(*(drawn(version.rows_from_seeds([one])) for one in seeds))
        np.testing.assert_array_equal(
            np.concatenate(images), conditional.expected(latents, conditions)
        )

    run(scenario())


def test_an_unconditional_version_has_conditions_without_numbers(load: Load) -> None:
    version = load(1)
    assert version.conditions([1, 2]).shape == (2, 0)
    assert version.typical_conditions(3).shape == (3, 0)
    assert version.sum_of_conditions([[1], [2]], [[3]]).shape == (1, 0)
    assert list(version.rows_from_seeds([1, 2])) == ["latents"]


def test_a_version_closes_its_encoder_with_its_generator(tmp_path: Path) -> None:
    async def scenario() -> None:
        painting.publish("grey", tmp_path)
        encoding.add(tmp_path / "grey" / "1")
        version = loader.load(tmp_path / "grey" / "1", Settings(models=tmp_path, provider="cpu"))
        encoder = version.encoder
        assert encoder
        image = np.full((1, 3, 4, 1), 144, np.uint8)
        found = await encoder.encode(image, ANONYMOUS, 1)
        assert found.latents.tolist() == [[1] * 12]
        assert found.probabilities.shape == (1, 0)
        version.retire()
        await asyncio.sleep(0)
        for _ in range(1000):
            try:
                encoder.check_room("client", 1, 1.0)
            except ShuttingDownError:
                break
            await asyncio.sleep(0.001)
        with pytest.raises(ShuttingDownError):
            await encoder.encode(image, ANONYMOUS, 1)

    run(scenario())
