"""Fixtures for tests of the application with the shipped models."""

from collections.abc import Callable

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray


@pytest.fixture(scope="module", autouse=True)
def _fast_start(_no_trials: None) -> None:
    """Load versions without a trial. Modules about loading replace this fixture."""


@pytest.fixture
def image(
    client: TestClient, decode: Callable[[bytes], NDArray[np.uint8]]
) -> Callable[[int], NDArray[np.uint8]]:
    """Returns the image of one seed, from its own URL."""
    return lambda seed: decode(client.get(f"/images/fashion-mnist/2/{seed}.png").content)
