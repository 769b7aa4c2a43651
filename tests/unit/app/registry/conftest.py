"""Tiny model versions, loaded from a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.registry import loader
from app.registry.model_version import ModelVersion
from app.settings import Settings
from tests.versions import publish

Load = Callable[[int], ModelVersion]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads version ``number`` of the model ``cats``, each time as a new object."""
    settings = Settings(models=tmp_path, provider="cpu")

    def loaded(number: int) -> ModelVersion:
        folder = tmp_path / "cats" / str(number)
        return loader.load(
            folder if folder.exists() else publish(tmp_path, "cats", number), settings
        )

    return loaded
