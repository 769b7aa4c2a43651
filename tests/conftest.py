"""What every test may ask for: the shipped models, and an application that serves them."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from PIL import Image

from app.main import create_app
from app.settings import Settings

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="takes minutes: ask for it by -m slow"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def models() -> Path:
    """The shipped models; not to be written to."""
    return ROOT / "models"


@pytest.fixture(scope="session")
def client(models: Path) -> Iterator[TestClient]:
    """The application with the shipped models. Failures are answered, as by a real server."""
    # Whoever asks for it first may have set variables that are not meant for all.
    app = create_app(Settings(models=models, provider="cpu", admin_keys=()))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def decode() -> Callable[[bytes], NDArray[np.uint8]]:
    """PNG bytes to pixels, by Pillow."""

    def decoded(content: bytes) -> NDArray[np.uint8]:
        with Image.open(io.BytesIO(content)) as image:
            assert image.format == "PNG"
            return np.asarray(image)

    return decoded
