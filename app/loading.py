"""A version folder to a version in service: read, verified and warmed up."""

import weakref
from collections.abc import Callable
from pathlib import Path

from app import card, folders, graphs, latents
from app.batching import Batcher
from app.card import INPUT, Card, CardError
from app.cpus import available
from app.engine import Engine
from app.jobs import Watch, unwatched
from app.served import Served
from app.settings import Settings
from app.statistics import Statistics

Watcher = Callable[[str, int], Watch]
"""From a model's name and version."""


def nobody(_model: str, _version: int) -> Watch:
    """A Watcher that watches nothing."""
    return unwatched


def load(folder: Path, settings: Settings, watcher: Watcher) -> Served:
    """The version in ``folder``, ready to draw. Raises CardError."""
    folders.check_inside(folder, settings.models)
    described = card.read(folder)
    contents = [card.load(folder, variant) for variant in described.variants]
    try:
        for content in contents:
            graphs.check(content)
        engine = _warm(described, contents[0], settings)
    except CardError as error:
        raise CardError(f"{folder / described.variants[0].file}: {error}") from error
    statistics, watch = Statistics(), watcher(described.name, described.version)
    compute = statistics.counting(engine)
    batcher = Batcher(compute, settings.max_batch, settings.max_queue, watch)
    served = Served(described, engine, batcher, statistics=statistics)
    weakref.finalize(served.hold, batcher.let_go).atexit = False
    return served


def _warm(described: Card, graph: bytes, settings: Settings) -> Engine:
    engine = Engine(described, graph, settings.provider, settings.threads or available())
    # The first run allocates; a client should not wait for that.
    first = latents.from_seeds([0], described.latent.width, described.latent.prior)
    try:
        engine({INPUT: first})
    except Exception as error:  # onnxruntime's errors have no common class
        raise CardError(f"it cannot draw: {str(error).splitlines()[0]}") from error
    return engine
