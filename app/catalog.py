"""The models folder as loaded versions, and what of it is left out, and why."""

import asyncio
import logging
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, cast

from app import batching, card, edits, latents
from app.allowed import told
from app.batching import Batcher
from app.card import INPUT, Card, CardError
from app.cpus import available
from app.edits import Edit
from app.engine import Engine, wanted_providers
from app.errors import (
    ClosedError,
    EngineError,
    NotFoundError,
    NotReadyError,
    OverloadedError,
    offence,
    refusal,
)
from app.images import Pixels
from app.latents import Latents
from app.settings import Settings
from app.statistics import Statistics

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Served:
    """One version in service."""

    card: Card
    engine: Engine
    batcher: Batcher
    edit: Edit = edits.NONE
    """What happens to every latent before it is drawn."""
    statistics: Statistics = field(default_factory=Statistics)

    @property
    def title(self) -> str:
        """``name/version``, as in the headers and the log."""
        return f"{self.card.name}/{self.card.version}"

    def latents(self, seeds: list[int]) -> Latents:
        """The latents of ``seeds`` under this version's prior."""
        return latents.from_seeds(seeds, self.card.latent.width, self.card.latent.prior)

    def editing(self, strengths: Mapping[str, float], place: str = "query") -> "Served":
        """The same, but its images are given attributes, so strongly each.

        The client named them in ``place``. Raises ParameterError for those that it does not have.
        """
        vectors = {name: found.vector for name, found in self.card.attributes.items()}
        unknown = [told(name) for name in strengths if name not in vectors]
        if unknown:
            nothing = f"left out: {self.title} has no attributes to edit"
            allowed = f"one of {', '.join(sorted(vectors))}" if vectors else nothing
            raise refusal(*(offence("edit", place, name, allowed) for name in unknown))
        return replace(self, edit=Edit.along(vectors, strengths))

    async def draw(self, rows: Latents) -> "Drawn":
        """The images of latents ``(n, width)``, edited.

        Raises OverloadedError, ClosedError or EngineError.
        """
        began = time.perf_counter()
        try:
            computed = await self.batcher.submit({INPUT: self.edit(rows)})
        except batching.QueueFullError as error:
            seconds = max(1, math.ceil(error.retry_after))
            raise OverloadedError(f"the server is busy: {error}", seconds) from error
        except batching.ClosedError as error:
            raise ClosedError("the server is shutting down") from error
        except batching.BatchError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            raise EngineError("these images could not be computed; the log says why") from error
        self.statistics.succeed(computed.queue, computed.compute)
        pixels = cast("Pixels", computed.results)
        return Drawn(self, pixels, computed.queue, computed.compute)


@dataclass(frozen=True)
class Drawn:
    """The images of one request: by whom they were drawn, and how long it took."""

    served: Served
    pixels: Pixels
    """uint8 ``(n, height, width, channels)``."""
    queue: float
    compute: float
    """Seconds, see ``batching.Computed``."""
    at: float = field(default_factory=time.perf_counter)
    """When they were ready to be encoded, by the clock ``time.perf_counter``."""


@dataclass(frozen=True)
class Refused:
    """A version that is kept out of service."""

    folder: str
    """``name/version``, below the models folder."""
    reason: str


@dataclass
class Catalog:
    """Every version in service, by name and version."""

    default_name: str
    models: dict[str, dict[int, Served]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """All of ``settings.models``; what is damaged is left out, logged and in ``refused``.

        Raises StartupError where the provider that was asked for does not run.
        """
        wanted_providers(settings.provider)  # even where no model asks for it
        catalog = cls(settings.default_model)
        folder = settings.models
        try:
            versions = list(_version_folders(folder))
        except OSError as error:
            catalog.refuse(str(folder), f"{error.filename}: cannot be read: {error.strerror}")
            return catalog
        for version in versions:
            try:
                catalog.add(_served(version, settings))
            except CardError as error:
                catalog.refuse(str(version.relative_to(folder)), str(error))
        return catalog

    def add(self, served: Served) -> None:
        """Take a version into service."""
        self.models.setdefault(served.card.name, {})[served.card.version] = served
        logger.info("serving %s on provider %s", served.title, served.engine.provider)

    def refuse(self, folder: str, reason: str) -> None:
        """Remember why a version is left out."""
        self.refused.append(Refused(folder, reason))
        logger.error("left out %s: %s", folder, reason)

    @property
    def default(self) -> str:
        """The model that is meant where none is named. Raises NotReadyError without any model."""
        if not self.models:
            reasons = "; ".join(refused.reason for refused in self.refused)
            raise NotReadyError(f"no model is served: {reasons or 'the models folder is empty'}")
        return self.default_name if self.default_name in self.models else min(self.models)

    def find(
        self,
        name: str | None = None,
        version: int | None = None,
        place: str = "query",
        parameter: str = "model",
    ) -> Served:
        """The version that is meant: by default the default model, in its highest version.

        The client named it in ``place``, by ``parameter``. Raises NotReadyError or NotFoundError.
        """
        name = self.default if name is None else name
        if name not in self.models:
            allowed = f"one of {', '.join(sorted(self.models))}" if self.models else "no model yet"
            problem = offence(parameter, place, name, allowed)
            raise NotFoundError(f"{parameter} is {name!r} but must be {allowed}", [problem])
        versions = self.models[name]
        version = max(versions) if version is None else version
        if version not in versions:
            allowed = f"one of {', '.join(map(str, sorted(versions)))}"
            problem = offence("version", place, version, allowed)
            raise NotFoundError(f"version of {name} is {version} but must be {allowed}", [problem])
        return versions[version]

    def __iter__(self) -> Iterator[Served]:
        """Every version, by name and then by number."""
        for name in sorted(self.models):
            for version in sorted(self.models[name]):
                yield self.models[name][version]

    async def close(self) -> None:
        """Finish what waits, then take every version out of service."""
        await asyncio.gather(*(served.batcher.close() for served in self))


def _version_folders(models: Path) -> Iterator[Path]:
    """``<name>/<version>`` folders; names that begin with a dot are unfinished publications."""
    for name in sorted(models.iterdir()):
        if name.is_dir() and not name.name.startswith("."):
            for version in sorted(name.iterdir()):
                if version.is_dir() and not version.name.startswith("."):
                    yield version


def _served(folder: Path, settings: Settings) -> Served:
    """Load, verify and warm up one version."""
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
