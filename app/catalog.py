"""The models folder as loaded versions, and what of it is left out, and why."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from app import loading
from app.card import CardError
from app.engine import wanted_providers
from app.errors import NotFoundError, NotReadyError, offence
from app.loading import Watcher, nobody
from app.served import Served
from app.settings import Settings

logger = logging.getLogger(__name__)


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
    def load(cls, settings: Settings, watcher: Watcher = nobody) -> Self:
        """All of ``settings.models``; what is damaged is left out, logged and in ``refused``.

        ``watcher`` says who is told of a version's batches.
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
                catalog.add(loading.load(version, settings, watcher))
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
