"""An engine that a test can block, and a queue that it can fill."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np
import pytest
from fastapi.testclient import TestClient

from app.artifact.card import INPUT
from app.batching.batcher import Batcher
from app.batching.jobs import Claim, Computed, Rows
from app.imaging.sheets import Pixels
from app.registry.model_version import ModelVersion
from app.runtime.engine import Engine

MODEL = "fashion-mnist"


class BlockedEngine:
    """Blocks the batches of one model until ``release`` is set, and records their sizes."""

    def __init__(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch, model: str = MODEL
    ) -> None:
        self.entered, self.release = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.failure: Exception | None = None
        """Raised instead of computing a batch."""
        compute, blocked_engine = Engine.__call__, version(client, model).engine

        def blocked(engine: Engine, rows: Rows) -> Pixels:
            if engine is not blocked_engine:
                return compute(engine, rows)
            self.batches.append(len(rows[INPUT]))
            self.entered.set()
            assert self.wait()
            if self.failure:
                raise self.failure
            return compute(engine, rows)

        monkeypatch.setattr(Engine, "__call__", blocked)

    def wait(self) -> bool:
        """Wait until a batch may be computed; return False after a minute."""
        return self.release.wait(60)


def version(client: TestClient, model: str = MODEL) -> ModelVersion:
    """Return the default version of ``model`` that the application of ``client`` serves."""
    found: ModelVersion = client.app.state.services.registry.find(model)  # type: ignore[attr-defined]
    return found


@contextmanager
def occupied(
    client: TestClient, engine: BlockedEngine, *counts: int, model: str = MODEL
) -> Iterator[list[Future[Computed]]]:
    """Fill the queue of ``model`` with requests of another client, for ``counts`` images each.

    They wait until the engine is released, at the latest at the end, or until they are cancelled.
    """
    served, portal = version(client, model), client.portal
    assert portal

    def submit(count: int) -> Future[Computed]:
        rows = {INPUT: np.zeros((count, served.card.latent.width), np.float32)}
        return portal.start_task_soon(served.batcher.submit, rows, Claim("another client"))

    first = submit(1)
    assert engine.entered.wait(60)
    requests = [submit(count) for count in counts]
    try:
        assert portal.call(_waiting, served.batcher) == sum(counts)
        yield requests
    finally:
        engine.release.set()
        for request in (first, *requests):
            if not request.cancelled():
                request.result(60)


async def _waiting(batcher: Batcher) -> int:
    """Return the length of the queue once the tasks that were started before have run."""
    return batcher.waiting
