"""A version folder to a version in service: read, verified and warmed up."""

import logging
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from app.artifact import card, graph_safety, version_folders
from app.artifact.card import Card, CardError
from app.batching.batcher import Batcher
from app.batching.jobs import OutcomeObserver, ignore_outcomes
from app.errors import StartupError
from app.registry.model_version import Served
from app.registry.statistics import Statistics
from app.runtime import providers
from app.runtime.cpus import available
from app.runtime.engine import Engine
from app.runtime.parallel_sessions import WAKE_UP_SECONDS
from app.runtime.providers import Placement, ProviderError
from app.settings import Settings

logger = logging.getLogger(__name__)

INLINE_SECONDS = WAKE_UP_SECONDS
"""Seconds for which a batch may hold up the event loop, which no thread would do sooner."""

Watcher = Callable[[str, int], OutcomeObserver]
"""From a model's name and version."""


def nobody(_model: str, _version: int) -> OutcomeObserver:
    """A Watcher that watches nothing."""
    return ignore_outcomes


def places(settings: Settings) -> list[Placement]:
    """Where generators may run, best first. Raises StartupError where nothing asked for runs."""
    threads = settings.threads or available()
    try:
        found = providers.candidates(settings.provider, settings.precision, threads)
    except ProviderError as error:
        raise StartupError(str(error)) from error
    return [replace(place, engine_cache=settings.engine_cache) for place in found]


def load(folder: Path, settings: Settings, watcher: Watcher = nobody) -> Served:
    """The version in ``folder``, ready to draw. Raises CardError, StartupError as ``places``."""
    version_folders.check_inside(folder, settings.models)
    described = card.read(folder)
    contents = {variant.file: card.load_graph(folder, variant) for variant in described.variants}
    engine = _engine(folder, described, contents, places(settings), settings.max_batch)
    statistics, watch = Statistics(), watcher(described.name, described.version)
    compute = statistics.counting(engine)
    batcher = Batcher(compute, settings.max_batch, settings.max_queue, watch, INLINE_SECONDS)
    served = Served(described, engine, batcher, statistics=statistics)
    weakref.finalize(served.hold, batcher.close_soon).atexit = False
    return served


def _engine(
    folder: Path, described: Card, contents: dict[str, bytes], tried: list[Placement], largest: int
) -> Engine:
    """On the first provider that starts."""
    place, *others = tried
    file = described.variant(place.provider).file
    try:
        graph_safety.check(contents[file])
        return Engine(described, contents[file], place, largest)
    except CardError as error:
        raise CardError(f"{folder / file}: {error}") from error
    except ProviderError as error:
        if not others:
            raise StartupError(str(error)) from error
        logger.warning("%s", error)
        return _engine(folder, described, contents, others, largest)
    except Exception as error:  # onnxruntime's errors have no common class
        told = str(error).splitlines()[0]
        raise CardError(f"{folder / file}: it cannot draw: {told}") from error
