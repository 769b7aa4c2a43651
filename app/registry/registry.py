"""The models folder as loaded versions, and what of it is left out, and why."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from app.artifact import version_folders
from app.artifact.card import CardError
from app.artifact.version_folders import Fingerprint
from app.errors import NotFoundError, NotReadyError, offence
from app.registry import loader
from app.registry.loader import Watcher, nobody
from app.registry.model_version import Served
from app.settings import Settings

logger = logging.getLogger(__name__)

MODELS: Final = "."
"""The models folder itself, as a folder that may be refused."""
UNLOADED: Final = "unloaded by order"
"""Why a version is out of service that nobody wants."""


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
    marks: dict[str, Fingerprint] = field(default_factory=dict)
    """The folders as they were when they were last loaded, or refused."""

    @classmethod
    def load(cls, settings: Settings, watcher: Watcher = nobody) -> Self:
        """All of ``settings.models``; what is damaged is left out, logged and in ``refused``.

        ``watcher`` says who is told of a version's batches.
        Raises StartupError where the provider that was asked for does not run.
        """
        loader.places(settings)  # even where no model asks for it
        catalog = cls(settings.default_model)
        try:
            catalog.marks = version_folders.fingerprints(settings.models)
        except OSError as error:
            catalog.refuse(MODELS, f"{error.filename}: cannot be read: {error.strerror}")
        for folder in catalog.marks:
            try:
                catalog.add(loader.load(settings.models / folder, settings, watcher))
            except CardError as error:
                catalog.refuse(folder, str(error))
        return catalog

    def add(self, served: Served) -> None:
        """Take a version into service.

        One that is replaced goes on drawing for the requests that have found it already.
        """
        self.models.setdefault(served.card.name, {})[served.card.version] = served
        engine = served.engine
        logger.info("serving %s on %s, %s", served.title, engine.provider, engine.precision)

    def retire(self, folder: str) -> bool:
        """Take the version of ``folder`` out of service; whether it was in service."""
        if not self.serves(folder):
            return False
        name, version = folder.split("/")
        del self.models[name][int(version)]
        if not self.models[name]:
            del self.models[name]
        logger.info("retired %s", folder)
        return True

    def serves(self, folder: str) -> bool:
        """Whether the version of ``folder`` is in service."""
        name, version = folder.split("/")
        return version in map(str, self.models.get(name, {}))

    def refuse(self, folder: str, reason: str) -> None:
        """Remember, and tell once, why a version is left out."""
        refused = Refused(folder, reason)
        if refused not in self.refused:
            self.forgive(folder)
            self.refused.append(refused)
            logger.error("left out %s: %s", folder, reason)

    def put_aside(self, folder: str, mark: Fingerprint) -> None:
        """Remember a version that nobody wants."""
        self.forgive(folder)
        self.refused.append(Refused(folder, UNLOADED))
        self.marks[folder] = mark

    def forgive(self, folder: str) -> None:
        """Forget why ``folder`` was left out."""
        self.refused = [one for one in self.refused if one.folder != folder]

    def forget(self, folder: str) -> None:
        """Forget a folder that is no more."""
        self.forgive(folder)
        self.marks.pop(folder, None)

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

    def running(self) -> list[tuple[str, int]]:
        """What every version computes: its title, and its batch's number or 0."""
        return [(served.title, served.batcher.running) for served in self]

    async def close(self) -> None:
        """Finish what waits, then take every version out of service."""
        await asyncio.gather(*(served.batcher.close() for served in self))
