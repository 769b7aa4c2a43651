"""Hot reload: puts new versions of the models folder into service while the server runs."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Literal

from app.artifact import version_folders
from app.artifact.card import CardError
from app.artifact.version_folders import Fingerprint
from app.artifact.version_key import VersionKey
from app.errors import ModelsFolderError, NotFoundError, StartupError, invalid
from app.registry import loader
from app.registry.loader import ObserverFactory, no_observer
from app.registry.registry import UNLOADED, Registry
from app.registry.reload_log import ReloadLog, ReloadOrder
from app.settings import Settings

logger = logging.getLogger(__name__)

_POLL_SECONDS, _WORKER_TIMEOUT = 0.2, 30.0
"""Seconds between looks for new orders, and for which an order waits for the other workers."""

ReloadResult = Literal["served", "refused", "retired"]


def _no_count(_: ReloadResult) -> None:
    pass


class Reloader:
    """Loads, reloads and unloads versions one after another while the others serve requests.

    A version that cannot be served changes nothing but its reason in the registry.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        log: ReloadLog,
        observer: ObserverFactory = no_observer,
        count: Callable[[ReloadResult], None] = _no_count,
    ) -> None:
        """``registry`` has just been loaded from the folder of ``settings``.

        ``observer`` is that of ``Registry.load``; ``count`` counts results for the metrics.
        """
        self._registry, self._settings, self._log = registry, settings, log
        self._observer, self._count = observer, count
        self._wanted: dict[str, list[int]] = {}
        self._before: dict[VersionKey, Fingerprint] = {}
        self._one_at_a_time = asyncio.Lock()

    async def load(self, name: str, versions: list[int] | None = None) -> None:
        """Serve only ``versions`` of a model, or all; return once every worker does.

        Raises NotFoundError if the models folder has no such model or version, ModelsFolderError
        with the reasons if a version cannot be served. The other versions are served all the same.
        """
        await self._check_exists(name, versions or [])
        await self._carry_out(ReloadOrder(name, versions))
        refused = (one for one in self._registry.refused if one.key and one.key.name == name)
        if reasons := "; ".join(one.reason for one in refused if one.reason != UNLOADED):
            raise ModelsFolderError(f"not every version of {name} is served: {reasons}")

    async def unload(self, name: str) -> None:
        """Take a model out of service until it is loaded again; return once every worker has.

        Raises NotFoundError if the models folder has no such model.
        """
        await self._check_exists(name, [])
        await self._carry_out(ReloadOrder(name, []))

    def reload(self) -> None:
        """Let every worker look at the whole models folder soon."""
        self._log.append(ReloadOrder())

    async def follow(self) -> None:
        """Carry out all new orders, one after another. Raises ModelsFolderError."""
        async with self._one_at_a_time:
            while (order := self._log.next()) is not None:
                if order.model is not None:
                    self._wanted.pop(order.model, None)
                    if order.versions is not None:
                        self._wanted[order.model] = order.versions
                try:
                    found = await self._fingerprints()
                    known = {*found, *self._registry.fingerprints}
                    await self._apply(filter(order.concerns, known), found)
                finally:
                    self._log.advance()

    async def watch(self) -> None:
        """Load version folders that have changed, but not since the previous call.

        A folder that is still being copied changes between two calls. Raises ModelsFolderError.
        """
        async with self._one_at_a_time:
            before, self._before = self._before, await self._fingerprints()
            now, known = self._before, self._registry.fingerprints
            settled = (key for key in {*now, *known} if now.get(key) == before.get(key))
            await self._apply([key for key in settled if now.get(key) != known.get(key)], now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow orders and SIGHUP until the context ends; watch the folder if so configured."""
        with suppress(ModelsFolderError):
            await self.follow()  # orders from before this worker started
        self._log.publish_progress()
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        tasks = [asyncio.create_task(_repeat(self.follow, _POLL_SECONDS))]
        if seconds := self._settings.watch:
            tasks.append(asyncio.create_task(_repeat(self.watch, seconds)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _check_exists(self, name: str, versions: list[int]) -> None:
        """Raise NotFoundError unless the models folder has the model and all ``versions``."""
        found = await self._fingerprints()
        names = {key.name for key in found} | self._registry.models.keys()
        numbers = {key.number for key in found if key.name == name and key.number is not None}
        for parameter, requested, existing in (
            ("model", [name], names),
            ("versions", versions, numbers),
        ):
            for one in requested:
                if one not in existing:
                    listed = ", ".join(map(str, sorted(existing)))
                    allowed = f"one of {listed}" if listed else "left out: the folder has none"
                    problem = invalid(parameter, "path", one, allowed)
                    raise NotFoundError(f"{parameter} is {one!r} but must be {allowed}", [problem])

    async def _carry_out(self, order: ReloadOrder) -> None:
        """Carry out ``order`` here and wait until every other worker has."""
        number = self._log.append(order)
        await self.follow()
        try:
            async with asyncio.timeout(_WORKER_TIMEOUT):
                while not self._log.done_by_all(number):  # noqa: ASYNC110 # other processes
                    await asyncio.sleep(_POLL_SECONDS / 4)
        except TimeoutError as error:
            raise ModelsFolderError("not every worker has followed yet") from error
        # Another task may have carried the order out and found that the folder is unreadable.
        if reasons := [one.reason for one in self._registry.refused if one.key is None]:
            raise ModelsFolderError("; ".join(reasons))

    async def _fingerprints(self) -> dict[VersionKey, Fingerprint]:
        """All version folders as they are now. Raises ModelsFolderError if they are unreadable."""
        try:
            found = await asyncio.to_thread(version_folders.fingerprints, self._settings.models)
        except OSError as error:
            reason = f"{error.filename}: cannot be read: {error.strerror}"
            self._registry.refuse(None, reason)
            raise ModelsFolderError(reason) from error
        self._registry.clear_refusal(None)
        return found

    async def _apply(
        self, concerned: Iterable[VersionKey], found: dict[VersionKey, Fingerprint]
    ) -> None:
        """Of the folders ``concerned``, serve those that are found and wanted; retire the rest.

        An unwanted version stays in service while a wanted one of its model fails to load.
        """
        ordered = sorted(concerned)
        failed = {
            key.name
            for key in ordered
            if key in found and self._is_wanted(key) and not await self._serve(key, found[key])
        }
        for key in ordered:
            if key not in found:
                self._retire(key)
                self._registry.forget(key)
            elif not self._is_wanted(key) and key.name not in failed:
                self._retire(key)
                self._registry.mark_unloaded(key, found[key])

    async def _serve(self, key: VersionKey, fingerprint: Fingerprint) -> bool:
        """Serve the folder unless it is served already; return whether it is in service now."""
        if self._registry.serves(key) and self._registry.fingerprints.get(key) == fingerprint:
            return True
        self._registry.fingerprints[key] = fingerprint
        try:
            version = await asyncio.to_thread(
                loader.load, self._settings.models / str(key), self._settings, self._observer
            )
        except Exception as error:  # no content of a folder may end the server
            if not isinstance(error, CardError | StartupError):
                logger.exception("%s cannot be loaded", key)
            self._registry.refuse(key, str(error) or repr(error))
            self._count("refused")
            return False
        self._registry.add(version)
        self._registry.clear_refusal(key)
        self._count("served")
        return True

    def _retire(self, key: VersionKey) -> None:
        if self._registry.retire(key):
            self._count("retired")

    def _is_wanted(self, key: VersionKey) -> bool:
        wanted = self._wanted.get(key.name)
        return wanted is None or key.number in wanted


async def _repeat(action: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await action()
        except ModelsFolderError:
            continue  # its reason is in the registry and in the log
        except Exception:
            logger.exception("the models folder could not be read")
