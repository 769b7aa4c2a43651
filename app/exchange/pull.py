"""``python -m app pull``: a version from elsewhere, which appears whole and verified or not at all.

Its files are compared with the hashes on its card, written into a temporary folder that the server
ignores, and loaded once as the server would load them, after a trial in a process of its own.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from app.artifact import atomic_files, card, default_version, graph_safety
from app.artifact.card import (
    CARD_FILE,
    MAX_CARD_BYTES,
    MAX_GRAPH_BYTES,
    SAMPLES_FILE,
    Card,
    CardError,
    Encoder,
    Variant,
)
from app.artifact.version_key import VersionKey
from app.exchange import renaming, stores
from app.exchange.options import PullSettings
from app.exchange.renaming import Files
from app.exchange.store import ExchangeError, MissingFileError, Store
from app.registry import loader
from app.registry.guarded_loader import GuardedLoader
from app.settings import GeneratorSettings, Settings

MAX_SAMPLES_BYTES: Final = 2**24
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class Pulled(NamedTuple):
    """A version that has been pulled."""

    folder: Path
    source: str
    origin: VersionKey
    """Its name and number on the card at the source."""
    sizes: dict[str, int]
    """The sizes of its files in bytes."""
    default: int
    """The default version of the model now."""

    def lines(self) -> Iterator[str]:
        """What was done, as lines of text."""
        sizes = ", ".join(f"{name} {size:,} bytes" for name, size in self.sizes.items())
        yield f"{self.folder}: pulled from {self.source}: {sizes}"
        model, number = self.folder.parent, self.folder.name
        if self.origin != VersionKey(model.name, number):
            yield (
                f"it was {self.origin} there; graphs name their version, so the hashes of its "
                "graphs changed"
            )
        if str(self.default) != number:
            yield (
                f"version {self.default} stays the default of {model.name}; to change that, write "
                f"{number} into {model / default_version.FILE}"
            )


def pull(options: PullSettings) -> Pulled:
    """Copy the version at ``options.source`` into ``options.models``, under the next free number.

    Raises ExchangeError if it cannot be read, contradicts its card or cannot be served; then
    nothing is left behind. Raises StartupError if the models folder or the provider is not usable,
    OSError if the disk fails.
    """
    loader.check_models_folder(options.models)
    model = options.models / options.name
    original, files = _download(stores.open_source(options.source))
    present = _present_default(model)
    number = 1 + max(card.version_numbers(model), default=0)
    key = VersionKey(options.name, str(number))
    with TemporaryDirectory(prefix=".part-", dir=_existing(options.models)) as staging:
        folder = Path(staging) / str(key)
        try:
            files = renaming.renamed(files, original, key)
            for name, content in files.items():
                atomic_files.write(folder / name, content)
            _open(Path(staging), key, options)
        except CardError as error:
            text = str(error).replace(f"{folder}/", "")
            raise ExchangeError(f"{options.source}: cannot be served: {text}") from error
        _publish(folder, model, present)
    if present and options.default:
        default_version.write(model, number)
    return Pulled(
        folder=model / key.version,
        source=options.source,
        origin=VersionKey(original.name, str(original.version)),
        sizes={name: len(content) for name, content in files.items()},
        default=number if options.default or not present else present,
    )


def _present_default(model: Path) -> int | None:
    """The default version of a model; None if it has no version yet. Raises ExchangeError."""
    try:
        return default_version.present(model)
    except CardError as error:
        raise ExchangeError(str(error)) from error


def _download(store: Store) -> tuple[Card, Files]:
    """The card and all files, whose hashes are those on it; the sheet of samples if there is one.

    Raises ExchangeError.
    """
    content = store.read(CARD_FILE, MAX_CARD_BYTES)
    try:
        described = card.parse(content)
    except CardError as error:
        raise ExchangeError(f"{store.address(CARD_FILE)}: {error}") from error
    graphs = {graph.file: _graph(store, graph) for graph in described.graphs}
    files = {CARD_FILE: content, **graphs}
    try:
        samples = store.read(SAMPLES_FILE, MAX_SAMPLES_BYTES)
    except MissingFileError:
        return described, files
    if not samples.startswith(_PNG):
        raise ExchangeError(f"{store.address(SAMPLES_FILE)}: is not a PNG file")
    return described, {**files, SAMPLES_FILE: samples}


def _graph(store: Store, graph: Variant | Encoder) -> bytes:
    """The file of a graph, which has the hash on the card and is safe. Raises ExchangeError."""
    limit = graph.size if isinstance(graph, Encoder) else MAX_GRAPH_BYTES
    address, content = store.address(graph.file), store.read(graph.file, limit)
    if (found := card.digest(content)) != graph.sha256:
        raise ExchangeError(f"{address}: has SHA-256 {found}, but the card says {graph.sha256}")
    try:
        graph_safety.check(content)
    except CardError as error:
        raise ExchangeError(f"{address}: {error}") from error
    return content


def _existing(models: Path) -> Path:
    """``models``, or the nearest folder above it that exists; so a failure makes no folder."""
    return next(folder for folder in (models, *models.absolute().parents) if folder.exists())


def _open(staging: Path, key: VersionKey, options: PullSettings) -> None:
    """Load the version ``key`` below ``staging`` as the server would. Raises CardError."""
    engines = options.model_dump(include=set(GeneratorSettings.model_fields) - {"models"})
    asyncio.run(_load(Settings(models=staging, **engines), key))


async def _load(settings: Settings, key: VersionKey) -> None:
    guarded = GuardedLoader(settings)
    try:
        await guarded.load(key)
    finally:
        guarded.stop()


def _publish(folder: Path, model: Path, present: int | None) -> None:
    """Move a complete version into the folder ``model``, whose default version stays ``present``.

    Raises ExchangeError if another version with this number has appeared meanwhile.
    """
    if present:
        default_version.write(model, present)  # otherwise the new version, the highest, might be it
    model.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(model / folder.name)
    except OSError as error:
        if not (model / folder.name).exists():
            raise
        raise ExchangeError(
            f"{model / folder.name}: has been published meanwhile; run the command again"
        ) from error
    atomic_files.sync(model)
