"""A version folder to a version in service: read, verified and warmed up."""

from pathlib import Path

from app import card, latents
from app.batching import Batcher
from app.card import INPUT, CardError
from app.cpus import available
from app.engine import Engine
from app.served import Served
from app.settings import Settings
from app.statistics import Statistics


def load(folder: Path, settings: Settings) -> Served:
    """The version in ``folder``, ready to draw. Raises CardError."""
    described = card.read(folder)
    graphs = [card.load(folder, variant) for variant in described.variants]
    try:
        engine = Engine(described, graphs[0], settings.provider, settings.threads or available())
        # The first run allocates; a client should not wait for that.
        engine({INPUT: latents.from_seeds([0], described.latent.width, described.latent.prior)})
    except CardError as error:
        raise CardError(f"{folder / described.variants[0].file}: {error}") from error
    statistics = Statistics()
    batcher = Batcher(statistics.counting(engine), settings.max_batch, settings.max_queue)
    return Served(described, engine, batcher, statistics=statistics)
