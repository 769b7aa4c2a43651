"""Loads a version folder: reads it, verifies it, starts its engine and warms it up."""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from app.artifact import card, graph_safety, models_folder, version_folders
from app.artifact.card import Card, CardError, Variant
from app.batching.batcher import Batcher
from app.batching.jobs import OutcomeObserver, ignore_outcomes
from app.errors import StartupError
from app.registry import queued_seeds
from app.registry.crash_log import Mark
from app.registry.encoder import Encoder, images_of
from app.registry.generator import Generator
from app.registry.model_version import ModelVersion
from app.registry.statistics import Statistics
from app.runtime import providers
from app.runtime.cpus import available
from app.runtime.engine import Engine
from app.runtime.image_encoder import ImageEncoder
from app.runtime.parallel_sessions import WAKE_UP_SECONDS
from app.runtime.providers import Placement, ProviderError
from app.settings import GeneratorSettings, Settings

logger = logging.getLogger(__name__)

INLINE_SECONDS = WAKE_UP_SECONDS
"""A batch this short runs on the event loop: handing it to a thread would take as long."""


class ObserverFactory(Protocol):
    """Makes the observer of the batches of a version, or of those of its encoder."""

    def __call__(self, model: str, version: int, /, *, encoder: bool = False) -> OutcomeObserver:
        """The observer for the model's name and the version number."""


def no_observer(_model: str, _version: int, /, *, encoder: bool = False) -> OutcomeObserver:  # noqa: ARG001
    """An ObserverFactory for callers that observe nothing."""
    return ignore_outcomes


@dataclass(frozen=True)
class Marks:
    """Marks in the crash log that show when a version computes."""

    generator: Mark = field(default_factory=Mark)
    encoder: Mark = field(default_factory=Mark)
    """Of its own, as both may compute at the same time."""


def placements(settings: GeneratorSettings) -> list[Placement]:
    """Where generators can run, best first. Raises StartupError if the provider does not run."""
    threads = settings.threads or available()
    try:
        found = providers.candidates(settings.provider, settings.precision, threads)
    except ProviderError as error:
        raise StartupError(str(error)) from error
    return [replace(place, engine_cache=settings.engine_cache) for place in found]


def check_models_folder(models: Path) -> None:
    """Raise StartupError if ``models`` is a folder of one model or version, or one above."""
    if reason := models_folder.misplaced(models):
        raise StartupError(reason)


def load(
    folder: Path,
    settings: Settings,
    observer: ObserverFactory = no_observer,
    tried: Collection[str] = (),
    marks: Marks | None = None,
) -> ModelVersion:
    """The version in ``folder``, ready to draw and, if it has an encoder, to encode.

    Raises CardError if the folder is damaged, StartupError if no requested provider runs here.

    If ``tried`` is not empty, it has the hashes of the only graphs that may be loaded.
    """
    marks = marks or Marks()
    described, engine = _loaded(folder, settings, settings.max_batch, tried, marks.generator)
    statistics = Statistics()
    batcher = Batcher(
        statistics.counting(marks.generator.marking(engine)),
        settings.max_batch,
        settings.max_queue,
        observer(described.name, described.version),
        INLINE_SECONDS,
    )
    batcher.merge = partial(queued_seeds.merged, described)
    encoder = None
    if described.encoder:
        with marks.generator.computing():
            images = images_of(Generator(described, engine))
        with marks.encoder.computing():
            compute = _image_encoder(folder, described, described.encoder, settings, tried)
        observed = observer(described.name, described.version, encoder=True)
        queue = Batcher(
            marks.encoder.marking(compute), settings.max_batch, settings.max_queue, observed
        )
        encoder = Encoder(described, images, queue)
    return ModelVersion(described, engine, batcher, statistics, encoder)


def load_generator(folder: Path, settings: GeneratorSettings, max_batch: int) -> Generator:
    """The generator in ``folder``, without a queue, for batches of up to ``max_batch`` images.

    Raises CardError if the folder is damaged, StartupError if no requested provider runs here.
    """
    return Generator(*_loaded(folder, settings, max_batch))


def load_encoder(folder: Path, described: Card, settings: GeneratorSettings) -> ImageEncoder | None:
    """The encoder of the version in ``folder``, without a queue; None if it has none.

    Raises CardError if it is damaged.
    """
    if described.encoder is None:
        return None
    return _image_encoder(folder, described, described.encoder, settings)


def _loaded(
    folder: Path,
    settings: GeneratorSettings,
    max_batch: int,
    tried: Collection[str] = (),
    mark: Mark | None = None,
) -> tuple[Card, Engine]:
    """The card in ``folder`` and an engine that is warm, see ``load``."""
    version_folders.check_inside(folder, settings.models)
    described = card.read(folder)
    contents = {variant.file: card.load_graph(folder, variant) for variant in described.variants}
    graph = partial(_graph, contents, tried)
    with (mark or Mark()).computing():
        return described, _engine(folder, described, graph, placements(settings), max_batch)


def _graph(contents: dict[str, bytes], tried: Collection[str], variant: Variant) -> bytes:
    """The content of a model file, which has been tried or is checked. Raises CardError."""
    _check_graph(contents[variant.file], variant.sha256, tried)
    return contents[variant.file]


def _check_graph(content: bytes, sha256: str, tried: Collection[str]) -> None:
    """Raise CardError unless a graph has been tried, or is safe where none has been tried."""
    if not tried:
        graph_safety.check(content)
    elif sha256 not in tried:
        raise CardError("it has changed since it was tried")


def _image_encoder(
    folder: Path,
    described: Card,
    file: card.Encoder,
    settings: GeneratorSettings,
    tried: Collection[str] = (),
) -> ImageEncoder:
    """The encoder of a version. Raises CardError if it is damaged."""
    content = card.load_graph(folder, file)
    with _named(folder / file.file, "encoder"):
        _check_graph(content, file.sha256, tried)
        return ImageEncoder(described, content, settings.threads or available())


def _engine(
    folder: Path,
    described: Card,
    graph: Callable[[Variant], bytes],
    candidates: list[Placement],
    largest: int,
) -> Engine:
    """An engine on the first candidate whose provider starts.

    Raises StartupError if none does, CardError if the graph is damaged.
    """
    place, *others = candidates
    variant = described.variant(place.provider)
    try:
        with _named(folder / variant.file, "model"):
            return Engine(described, graph(variant), place, largest)
    except ProviderError as error:
        if not others:
            raise StartupError(str(error)) from error
        logger.warning("%s", error)
        return _engine(folder, described, graph, others, largest)


@contextmanager
def _named(graph: Path, kind: str) -> Iterator[None]:
    """Turn errors of a graph of this ``kind`` into CardErrors that name its file.

    ProviderError passes unchanged: another provider may run the graph.
    """
    try:
        yield
    except CardError as error:
        raise CardError(f"{graph}: {error}") from error
    except ProviderError:
        raise
    except Exception as error:  # onnxruntime's errors have no common base class
        first_line = str(error).partition("\n")[0]
        raise CardError(f"{graph}: the {kind} does not run: {first_line}") from error
