"""A version folder to a version in service: read, verified and warmed up."""

from collections.abc import Callable
from pathlib import Path

from app import card, latents
from app.batching import Batcher
from app.card import INPUT, CardError
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
    described = card.read(folder)
    graphs = [card.load(folder, variant) for variant in described.variants]
    try:
        engine = Engine(described, graphs[0], settings.provider, settings.threads or available())
        # The first run allocates; a client should not wait for that.
        engine({INPUT: latents.from_seeds([0], described.latent.width, described.latent.prior)})
    except CardError as error:
        raise CardError(f"{folder / described.variants[0].file}: {error}") from error
    statistics, watch = Statistics(), watcher(described.name, described.version)
    compute = statistics.counting(engine)
    batcher = Batcher(compute, settings.max_batch, settings.max_queue, watch)
    return Served(described, engine, batcher, statistics=statistics)
