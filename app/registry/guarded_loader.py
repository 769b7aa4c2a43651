"""Loads versions so that none of them can hang, exhaust or repeatedly end the server."""

import asyncio
import weakref
from pathlib import Path

from app.artifact import card, version_folders
from app.artifact.card import CardError
from app.artifact.version_key import VersionKey
from app.registry import daemon_threads, loader
from app.registry.crash_log import CrashLog, Mark
from app.registry.loader import Marks, ObserverFactory, no_observer
from app.registry.model_version import ModelVersion
from app.registry.trial_client import TrialProcess
from app.registry.trials import Trials
from app.settings import Settings

_MOST_AT_ONCE = 4
"""Versions that are loaded at once, most of which wait for their trials."""


class GuardedLoader:
    """Loads a version after a trial in another process, unless it has crashed repeatedly."""

    def __init__(
        self,
        settings: Settings,
        observer: ObserverFactory = no_observer,
        state: Path | None = None,
        process: TrialProcess | None = None,
    ) -> None:
        """``observer`` is that of ``loader.load``; ``state`` is a folder that processes share.

        It remembers which versions have passed their trials, and which have crashed. ``process``
        is that of ``Trials``.
        """
        self._settings, self._observer = settings, observer
        self.crash_log = CrashLog(state)
        self._trials = Trials(settings, state and state / "passed", process)
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._one_at_a_time = asyncio.Lock()  # an engine measures its speed when it is loaded

    async def load(self, key: VersionKey) -> ModelVersion:
        """The version in the folder ``key``, ready to draw.

        Raises CardError if it cannot be served, StartupError if the provider does not start, and
        whatever else an engine raises.
        """
        folder = self._settings.models / str(key)
        async with self._slots:
            marks, tried = await daemon_threads.run(self._try, key)
            try:
                async with self._one_at_a_time:
                    version = await daemon_threads.run(
                        loader.load, folder, self._settings, self._observer, tried, marks
                    )
            except BaseException:
                self._release(marks)
                raise
        weakref.finalize(version, self._release, marks)
        return version

    def stop(self) -> None:
        """End all trials: versions that are being tried are not loaded."""
        self._trials.close()

    def _release(self, marks: Marks) -> None:
        for mark in (marks.generator, marks.encoder):
            self.crash_log.release(mark)

    def _try(self, key: VersionKey) -> tuple[Marks, set[str]]:
        """The marks of a version, and the hashes of its graphs, which have passed a trial.

        Raises CardError if it is left out because of its crashes, or fails its trial.
        """
        folder = self._settings.models / str(key)
        version_folders.check_inside(folder, self._settings.models)
        described, placements = card.read(folder), loader.placements(self._settings)
        variant = described.variant(placements[0].provider)
        if reason := self.crash_log.reason(variant.sha256):
            raise CardError(f"{folder}: {reason}")
        tried = self._trials.check(key, described, placements)
        generator = self.crash_log.mark(key, variant.sha256)
        encoder = self.crash_log.mark(key, variant.sha256) if described.encoder else Mark()
        return Marks(generator, encoder), tried
