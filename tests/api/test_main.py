"""The lifespan of the application."""

import gc
from pathlib import Path

from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings


def test_loaded_objects_are_frozen_for_the_garbage_collector_while_serving(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu"))):
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0
