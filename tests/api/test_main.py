import gc
from pathlib import Path

from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings


def test_what_stays_is_kept_from_the_garbage_collector_while_it_serves(models: Path) -> None:
    with TestClient(create_app(Settings(models=models, provider="cpu"))):
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0
