"""Loads a version folder: reads it, verifies it, starts its engine and warms it up."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.artifact import card, graph_safety, version_folders
from app.artifact.card import Card, CardError, Variant
from app.batching.batcher import Batcher
from app.batching.jobs import OutcomeObserver, ignore_outcomes
from app.errors import StartupError
from app.registry import queued_seeds
from app.registry.crash_log import Mark
from app.registry.model_version import ModelVersion
from app.registry.statistics import Statistics
from app.runtime import providers
from app.runtime.cpus import available
from app.runtime.engine import Engine
from app.runtime.parallel_sessions import WAKE_UP_SECONDS
from app.runtime.providers import Placement, ProviderError
from app.settings import Settings

logger = logging.getLogger(__name__)

INLINE_SECONDS = WAKE_UP_SECONDS
"""A batch this short runs on the event loop: handing it to a thread would take as long."""

ObserverFactory = Callable[[str, int], OutcomeObserver]
"""Makes the observer of a version's batches from the model's name and the version number."""


def no_observer(_model: str, _version: int) -> OutcomeObserver:
    """An ObserverFactory for callers that observe nothing."""
    return ignore_outcomes


def placements(settings: Settings) -> list[Placement]:
    """Where generators can run, best first. Raises StartupError if the provider does not run."""
    threads = settings.threads or available()
    try:
        found = providers.candidates(settings.provider, settings.precision, threads)
    except ProviderError as error:
        raise StartupError(str(error)) from error
    return [replace(place, engine_cache=settings.engine_cache) for place in found]


def load(
    folder: Path,
    settings: Settings,
    observer: ObserverFactory = no_observer,
    tried: Collection[str] = (),
    mark: Mark | None = None,
) -> ModelVersion:
    """The version in ``folder``, ready to draw.

    Raises CardError if the folder is damaged, StartupError if no requested provider runs here.

    If ``tried`` is not empty, it has the hashes of the only graphs that may be loaded. ``mark``
    shows to the crash log when the version computes.
    """
    mark = mark or Mark()
    version_folders.check_inside(folder, settings.models)
    described = card.read(folder)
    contents = {variant.file: card.load_graph(folder, variant) for variant in described.variants}
    graph = partial(_graph, contents, tried)
    with mark.computing():
        engine = _engine(folder, described, graph, placements(settings), settings.max_batch)
    statistics = Statistics()
    batcher = Batcher(
        statistics.counting(mark.marking(engine)),
        settings.max_batch,
        settings.max_queue,
        observer(described.name, described.version),
        INLINE_SECONDS,
    )
    batcher.merge = partial(queued_seeds.merged, described)
    return ModelVersion(described, engine, batcher, statistics)


def _graph(contents: dict[str, bytes], tried: Collection[str], variant: Variant) -> bytes:
    """The content of a model file, which has been tried or is checked. Raises CardError."""
    if not tried:
        graph_safety.check(contents[variant.file])
    elif variant.sha256 not in tried:
        raise CardError("it has changed since it was tried")
    return contents[variant.file]


def _engine(
    folder: Path,
    described: Card,
    graph: Callable[[Variant], bytes],
    candidates: list[Placement],
    largest: int,
) -> Engine:
    """An engine on the first candidate whose provider starts."""
    place, *others = candidates
    variant = described.variant(place.provider)
    file = variant.file
    try:
        return Engine(described, graph(variant), place, largest)
    except CardError as error:
        raise CardError(f"{folder / file}: {error}") from error
    except ProviderError as error:
        if not others:
            raise StartupError(str(error)) from error
        logger.warning("%s", error)
        return _engine(folder, described, graph, others, largest)
    except Exception as error:  # onnxruntime's errors have no common base class
        first_line = str(error).splitlines()[0]
        raise CardError(f"{folder / file}: the model does not run: {first_line}") from error
