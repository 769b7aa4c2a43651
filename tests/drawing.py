"""Generates images with a version of ``tests.versions``, and checks whether it is closed."""

import asyncio

import numpy as np

from app.artifact.card import INPUT
from app.batching.jobs import ANONYMOUS
from app.errors import ShuttingDownError
from app.registry.model_version import ModelVersion
from tests.versions import WIDTH


async def draw(version: ModelVersion) -> int:
    """Generate an image; return the value of all its pixels, which is the version number."""
    computed = await version.compute({INPUT: np.zeros((1, WIDTH), np.float32)}, ANONYMOUS)
    return int(np.unique(computed.results).item())


def closed(version: ModelVersion) -> bool:
    """Return whether the version refuses requests because its batcher is closed."""
    try:
        version.check_room("client", 1, 1.0)
    except ShuttingDownError:
        return True
    return False


async def closes(version: ModelVersion) -> None:
    """Return once the version is closed."""
    while not closed(version):  # noqa: ASYNC110 # the batcher has no event for this
        await asyncio.sleep(0.001)
