"""Fixtures for tests of the application with the shipped models."""

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray


@pytest.fixture(scope="module", autouse=True)
def _no_trials() -> Iterator[None]:
    """Load versions without a trial, whose process takes most of the time of a start.

    Modules about loading replace this fixture.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_LOAD_TIMEOUT", "0")
        patch.setenv("DCGAN_LOAD_MEMORY", "0")
        yield


@pytest.fixture(autouse=True)
def _frozen() -> None:
    """Hide what is loaded from the garbage collector, which runs at every start.

    The test process has loaded PyTorch, so a collection takes longer than loading a model.
    """
    gc.freeze()


@pytest.fixture
def image(
    client: TestClient, decode: Callable[[bytes], NDArray[np.uint8]]
) -> Callable[[int], NDArray[np.uint8]]:
    """Returns the image of one seed, from its own URL."""
    return lambda seed: decode(client.get(f"/images/fashion-mnist/2/{seed}.png").content)
