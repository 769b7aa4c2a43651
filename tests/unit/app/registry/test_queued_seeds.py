"""Seeds in the queue of a model version."""

import asyncio
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.batching.jobs import ANONYMOUS
from app.latent.edits import Edit
from app.registry import loader
from app.registry.draw_options import DrawOptions
from app.runtime.arrays import GraphInputs
from app.settings import Settings


def test_seeds_and_latents_in_one_batch_give_the_images_of_each(models: Path) -> None:
    settings = Settings(models=models, provider="cpu", threads=1)
    version = loader.load(models / "fashion-mnist" / "2", settings)
    moved = DrawOptions(edit=Edit("hat:1", 0.5), truncation=0.7)

    async def drawn(rows: GraphInputs) -> NDArray[np.generic]:
        return (await version.compute(rows, ANONYMOUS)).results

    async def scenario() -> list[NDArray[np.generic]]:
        requests = [
            version.rows_to_queue([7, 8]),
            version.rows_to_queue([9], moved),
            version.rows_to_queue([2**32 - 1]),
        ]
        together = await asyncio.gather(*map(drawn, requests))
        await version.batcher.close()
        return together

    expected = [
        version.engine(version.rows_from_seeds([7, 8])),
        version.engine(version.rows_from_seeds([9], moved)),
        version.engine(version.rows_from_seeds([2**32 - 1])),
    ]
    for images, alone in zip(asyncio.run(scenario()), expected, strict=True):
        assert np.abs(images.astype(int) - alone.astype(int)).max() <= 1
