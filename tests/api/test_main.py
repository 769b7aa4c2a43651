"""The lifespan of the application."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.errors import StartupError
from app.main import Start, create_app
from app.registry.reloader import Reloader
from app.settings import Settings

UNFREEZE = gc.unfreeze
"""The real function, which other tests do without."""


def test_the_garbage_collector_ignores_what_is_loaded_and_runs_seldom_while_serving(
    clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (700, 10, 10)
    monkeypatch.setattr(gc, "unfreeze", UNFREEZE)
    gc.unfreeze()  # the application of a fixture may still be serving
    gc.set_threshold(*before)
    with TestClient(create_app(Settings(models=clothes, provider="cpu"))):
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] > before[0]
    assert (gc.get_freeze_count(), gc.get_threshold()) == (0, before)
    gc.freeze()


def test_a_provider_that_does_not_start_ends_the_process(
    clothes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def failing(_: Reloader, seconds: float) -> AsyncIterator[None]:
        raise StartupError(f"it does not start within {seconds} s")
        yield

    class EndedError(Exception):
        """Simulates the end of the process."""

    def end(error: StartupError) -> None:
        raise EndedError(str(error))

    monkeypatch.setattr(Reloader, "running", failing)
    settings = Settings(models=clothes, provider="cpu")
    with (
        pytest.raises(EndedError, match="it does not start within 5 s"),
        TestClient(create_app(settings, start=Start(5, end))),
    ):
        pass
    with pytest.raises(StartupError, match="it does not start"), TestClient(create_app(settings)):
        pass
