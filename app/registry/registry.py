"""The model versions in service, and the folders that are left out, with the reasons."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from app.artifact import default_version, version_folders
from app.artifact.card import CardError
from app.artifact.version_folders import Fingerprint, Scan
from app.artifact.version_key import VersionKey, printable
from app.errors import NotFoundError, NotReadyError, error_naming, invalid
from app.registry import loader
from app.registry.loader import ObserverFactory, no_observer
from app.registry.model_version import ModelVersion
from app.settings import Settings

logger = logging.getLogger(__name__)

MODELS_FOLDER: Final = "."
"""Stands for the models folder itself where the whole folder cannot be read."""
UNLOADED: Final = "unloaded on request"
"""Reason shown for a version that was unloaded on request."""


@dataclass(frozen=True)
class Refused:
    """A folder that is not in service."""

    key: VersionKey | None
    """None is the models folder itself. The names may be escaped, but never those of a model."""
    reason: str

    @property
    def folder(self) -> str:
        """``name/version`` below the models folder, or MODELS_FOLDER."""
        return str(self.key) if self.key else MODELS_FOLDER


def _nothing() -> None:
    """An ``on_change`` that does nothing."""


@dataclass
class Registry:
    """Every version in service, by name and version number."""

    default_name: str
    on_change: Callable[[], object] = _nothing
    """Called whenever another version has come into service, or one has gone."""
    models: dict[str, dict[int, ModelVersion]] = field(default_factory=dict)
    _refused: dict[VersionKey | None, Refused] = field(default_factory=dict)
    _unreadable: frozenset[VersionKey] = frozenset()
    """What the last scan refused."""
    _defaults: dict[str, int] = field(default_factory=dict)
    """The default version of each model that records one, as the last scan found it."""
    fingerprints: dict[VersionKey, Fingerprint] = field(default_factory=dict)
    """The folders as they were when they were last loaded or refused."""
    loading: set[VersionKey] = field(default_factory=set)
    """The versions that are being loaded, or wait for that since the start."""
    _is_known: bool = False
    """Whether the models folder has been read."""

    @classmethod
    def load(cls, settings: Settings, observer: ObserverFactory = no_observer) -> Self:
        """All versions in ``settings.models``; damaged ones are logged and kept in ``refused``.

        ``observer`` makes the observer of each version's batches. Raises StartupError if the
        requested provider does not run here, or if the folder is probably another one.
        """
        loader.check_models_folder(settings.models)
        loader.placements(settings)  # so that a wrong provider ends the start even without models
        registry = cls(settings.default_model)
        try:
            scan = version_folders.scan(settings.models)
        except OSError as error:
            registry.refuse(None, f"{error.filename}: cannot be read: {error.strerror}")
            return registry
        registry.note(scan)
        registry.fingerprints = scan.fingerprints
        for key in registry.fingerprints:
            try:
                registry.add(loader.load(settings.models / str(key), settings, observer))
            except CardError as error:
                registry.refuse(key, str(error))
        return registry

    def add(self, version: ModelVersion) -> None:
        """Put a version into service.

        A version that it replaces is retired: it serves the requests that hold a lease on it.
        """
        versions = self.models.setdefault(version.card.name, {})
        replaced = versions.get(version.card.version)
        versions[version.card.version] = version
        if replaced is not None:
            replaced.retire()
        self.on_change()
        engine = version.engine
        experimental = " (experimental)" if engine.is_experimental else ""
        provider = f"{engine.provider}{experimental}"
        logger.info("serving %s on %s, %s", version.key, provider, engine.precision)

    def retire(self, key: VersionKey) -> bool:
        """Take a version out of service; return whether it was in service."""
        number = key.number
        version = None if number is None else self.models.get(key.name, {}).pop(number, None)
        if version is None:
            return False
        if not self.models[key.name]:
            del self.models[key.name]
        version.retire()
        self.on_change()
        logger.info("retired %s", key)
        return True

    def serves(self, key: VersionKey) -> bool:
        """Whether a version is in service."""
        return key.number in self.models.get(key.name, {})

    @property
    def refused(self) -> list[Refused]:
        """The folders that are not in service, in the order in which they were refused."""
        return list(self._refused.values())

    def refuse(self, key: VersionKey | None, reason: str) -> None:
        """Remember why a folder is not in service, and log it unless the reason is known."""
        refused = Refused(key, printable(reason))  # it may quote names of files
        if self._refused.get(key) != refused:
            self.clear_refusal(key)
            self._refused[key] = refused
            logger.error("not serving %s: %s", refused.folder, refused.reason)

    def note(self, scan: Scan, model: str | None = None) -> None:
        """Adopt the defaults that ``scan`` found, and refuse what it could not read.

        What the scan before could not read is forgotten. The scan was of ``model`` alone, or of
        all models.
        """
        self._is_known = True
        others = {} if model is None else self._defaults
        self._defaults = {name: n for name, n in others.items() if name != model} | scan.defaults
        before = {key for key in self._unreadable if model in {None, key.name}}
        for key in before - scan.refused.keys():
            self.clear_refusal(key)
        for key, reason in scan.refused.items():
            self.refuse(key, reason)
        self._unreadable = self._unreadable - before | scan.refused.keys()

    def mark_unloaded(self, key: VersionKey, fingerprint: Fingerprint) -> None:
        """Remember that a version was unloaded on request."""
        self.clear_refusal(key)
        self._refused[key] = Refused(key, UNLOADED)
        self.fingerprints[key] = fingerprint

    def clear_refusal(self, key: VersionKey | None) -> None:
        """Forget why a folder was not in service."""
        self._refused.pop(key, None)

    def forget(self, key: VersionKey) -> None:
        """Forget a folder that no longer exists."""
        self.clear_refusal(key)
        self.fingerprints.pop(key, None)

    @property
    def default(self) -> str:
        """The model that serves requests without ``model``.

        Raises NotReadyError without models, or while the default model is being loaded.
        """
        if self.default_name in self.models:
            return self.default_name
        if not self.models:
            reasons = [f"{key} is being loaded" for key in sorted(self.loading)]
            reasons += [refused.reason for refused in self.refused]
            unknown = "is empty" if self._is_known else "is being read"
            detail = "; ".join(reasons) or f"the models folder {unknown}"
            raise NotReadyError(f"no model is served: {detail}")
        self._check_loading(self.default_name)
        return min(self.models)

    def default_version(self, name: str) -> int:
        """The version of a model in service that serves requests without a version."""
        return default_version.choose(self.models[name], self._defaults.get(name))

    def find(
        self,
        name: str | None = None,
        version: int | None = None,
        place: str = "query",
        parameter: str = "model",
    ) -> ModelVersion:
        """The requested version; by default the default model in its default version.

        ``place`` and ``parameter`` say where the request named the model. Raises NotReadyError or
        NotFoundError.
        """
        name = self.default if name is None else name
        if name not in self.models:
            self._check_loading(name, version)
            self._check_loading(name)
            names = ", ".join(sorted(self.models))
            allowed = f"one of {names}" if names else "left out: no model is served"
            raise error_naming(NotFoundError, invalid(parameter, place, name, allowed))
        versions = self.models[name]
        version = self.default_version(name) if version is None else version
        if version not in versions:
            self._check_loading(name, version)
            allowed = f"one of {', '.join(map(str, sorted(versions)))}"
            problem = invalid("version", place, version, allowed)
            raise NotFoundError(f"version of {name} is {version} but must be {allowed}", [problem])
        return versions[version]

    def _check_loading(self, name: str, version: int | None = None) -> None:
        """Raise NotReadyError if a version of a model, or else its default one, is being loaded."""
        loading = [key for key in self.loading if key.name == name]
        if version is None and (numbers := [key.number for key in loading if key.number]):
            version = default_version.choose(numbers, self._defaults.get(name))
        for key in loading:
            if version in {None, key.number}:
                raise NotReadyError(f"{key} is being loaded")

    def __iter__(self) -> Iterator[ModelVersion]:
        """Every version, sorted by name and number."""
        for name in sorted(self.models):
            for version in sorted(self.models[name]):
                yield self.models[name][version]

    def running_batches(self) -> list[tuple[str, int]]:
        """For each batcher its version's key and the number of its batch now, 0 for none."""
        return [
            (str(version.key), batcher.running) for version in self for batcher in version.batchers
        ]

    async def close(self) -> None:
        """Finish all waiting images, then stop every version's batcher."""
        batchers = (batcher for version in self for batcher in version.batchers)
        await asyncio.gather(*(batcher.close() for batcher in batchers))
