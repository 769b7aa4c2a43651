"""Hot reload: puts new versions of the models folder into service while the server runs."""

import asyncio
import logging
import math
import signal
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from app.artifact import version_folders
from app.artifact.card import CardError
from app.artifact.version_folders import Fingerprint, Scan
from app.artifact.version_key import VersionKey
from app.errors import ModelsFolderError, NotFoundError, StartupError, error_naming, invalid
from app.registry.guarded_loader import GuardedLoader
from app.registry.registry import UNLOADED, Registry
from app.registry.reload_log import ReloadLog, ReloadOrder
from app.settings import Settings

logger = logging.getLogger(__name__)

_POLL_SECONDS, _WORKER_TIMEOUT = 0.2, 30.0
"""Seconds between looks for new orders, and for which an order waits for the other workers."""
_HEAD_START = 0.5
"""Seconds for which the default model is loaded alone at the start."""

ReloadResult = Literal["served", "refused", "retired"]


def _no_count(_: ReloadResult) -> None:
    pass


class Reloader:
    """Loads, reloads and unloads versions while the others serve requests.

    The versions of one model are loaded one after another. A version that cannot be served changes
    nothing but its reason in the registry.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        log: ReloadLog,
        versions: GuardedLoader,
        count: Callable[[ReloadResult], None] = _no_count,
    ) -> None:
        """``versions`` loads one version; ``count`` counts results for the metrics."""
        self._registry, self._settings, self._log = registry, settings, log
        self._loader, self._count = versions, count
        self._wanted: dict[str, list[int]] = {}
        self._before: dict[VersionKey, Fingerprint] = {}
        self._models: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._started = False
        self._tasks: set[asyncio.Task[None]] = set()

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
        try:
            self._log.append(ReloadOrder())
        except OSError as error:
            logger.error("the models folder is not read again: %s", error)  # noqa: TRY400 # no bug

    def follow(self) -> asyncio.Task[None] | None:
        """Begin to carry out all new orders, in a task; None if there are no new ones."""
        numbers, models = self._take_orders()
        if not numbers:
            return None
        task = asyncio.create_task(self._carry_out_here(numbers, models))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def watch(self) -> None:
        """Load version folders that have changed, but not since the previous call.

        A folder that is still being copied changes between two calls. Raises ModelsFolderError.
        """
        before, found = self._before, await self._scan()
        self._before = now = found.fingerprints
        known = self._registry.fingerprints
        changed = {
            key: now.get(key)
            for key in {*now, *known}
            if now.get(key) == before.get(key) and now.get(key) != known.get(key)
        }
        names = sorted({key.name for key in changed})
        await asyncio.gather(*(self._apply(name, changed) for name in names))

    @asynccontextmanager
    async def running(self, seconds: float = math.inf) -> AsyncIterator[asyncio.Task[None]]:
        """Load all versions, then follow orders and SIGHUP, and watch the folder if set, meanwhile.

        The context begins when all versions are in service or refused, at the latest after
        ``seconds``; it gives the task that loads them. That task raises StartupError if the
        provider does not start, and so does this method if it happens within ``seconds``.
        """
        numbers, _ = self._take_orders()  # from before this worker started
        first = asyncio.create_task(self._start(numbers))
        tasks = [first, asyncio.create_task(_repeat(self._poll, _POLL_SECONDS))]
        if period := self._settings.watch:
            tasks.append(asyncio.create_task(self._watch_after(first, period)))
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        try:
            await asyncio.wait([first], timeout=None if seconds == math.inf else seconds)
            if first.done():
                first.result()
            yield first
        finally:
            self._loader.stop()
            for task in (*tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks, return_exceptions=True)

    async def _start(self, numbers: list[int]) -> None:
        """Load all versions, the default model first. Raises StartupError."""
        try:
            found = await self._scan()
        except ModelsFolderError:
            found = Scan({}, {})  # its reason is in the registry and in the log
        self._registry.loading.update(found.fingerprints)
        names = {key.name for key in found.fingerprints}
        default = self._registry.default_name
        first = [asyncio.create_task(self._apply(name)) for name in names & {default}]
        if first:
            await asyncio.wait(first, timeout=_HEAD_START)
        await asyncio.gather(*first, *(self._apply(name) for name in sorted(names - {default})))
        self._started = True
        self._finish(numbers)

    async def _watch_after(self, first: "asyncio.Task[None]", seconds: float) -> None:
        await asyncio.wait([first])
        await _repeat(self.watch, seconds)

    async def _poll(self) -> None:
        self.follow()

    def _take_orders(self) -> tuple[list[int], set[str] | None]:
        """The numbers of all new orders, and the models that they are about; None for all."""
        numbers: list[int] = []
        models: set[str] | None = set()
        while (taken := self._log.take()) is not None:
            number, order = taken
            numbers.append(number)
            if order.model is None:
                models = None
                continue
            if models is not None:
                models.add(order.model)
            self._wanted.pop(order.model, None)
            if order.versions is not None:
                self._wanted[order.model] = order.versions
            if order.versions != []:  # an explicit load gives a version that crashed another try
                self._loader.crash_log.clear(order.model)
        return numbers, models

    async def _carry_out_here(self, numbers: list[int], models: set[str] | None) -> None:
        """Carry out orders about ``models``, and record that in the log."""
        try:
            if models is None:
                found = await self._scan()
                known = {*found.fingerprints, *self._registry.fingerprints}
                models = {key.name for key in known}
            await asyncio.gather(*map(self._apply, sorted(models)))
        except ModelsFolderError:
            pass  # its reason is in the registry and in the log
        except Exception:
            logger.exception("the models folder could not be read")
        finally:
            self._finish(numbers)

    def _finish(self, numbers: list[int]) -> None:
        for number in numbers:
            self._log.finish(number)
        self._log.publish_progress()

    async def _check_exists(self, name: str, versions: list[int]) -> None:
        """Raise NotFoundError unless the models folder has the model and all ``versions``."""
        found = (await self._scan()).fingerprints
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
                    raise error_naming(NotFoundError, problem)

    async def _carry_out(self, order: ReloadOrder) -> None:
        """Carry out ``order`` here and wait until every other worker has.

        Raises ModelsFolderError if they do not in time, or if the folder cannot be read.
        """
        try:
            number = self._log.append(order)
        except OSError as error:
            raise ModelsFolderError(f"no worker can be reached: {error}") from error
        if task := self.follow():
            await asyncio.shield(task)
        try:
            async with asyncio.timeout(_WORKER_TIMEOUT):
                while not self._log.done_by_all(number):  # noqa: ASYNC110 # other processes
                    await asyncio.sleep(_POLL_SECONDS / 4)
        except TimeoutError as error:
            raise ModelsFolderError("not every worker has reloaded the models yet") from error
        # Another task may have carried the order out and found that the folder is unreadable.
        if reasons := [one.reason for one in self._registry.refused if one.key is None]:
            raise ModelsFolderError("; ".join(reasons))

    async def _scan(self, name: str | None = None) -> Scan:
        """All version folders, or those of one model, as they are now.

        Raises ModelsFolderError if the models folder itself cannot be read.
        """
        try:
            found = await asyncio.to_thread(version_folders.scan, self._settings.models, name)
        except OSError as error:
            reason = f"{error.filename}: cannot be read: {error.strerror}"
            self._registry.refuse(None, reason)
            raise ModelsFolderError(reason) from error
        self._registry.clear_refusal(None)
        self._registry.note(found, name)
        return found

    async def _apply(
        self, name: str, changed: dict[VersionKey, Fingerprint | None] | None = None
    ) -> None:
        """Of a model's folders, serve those that are found and wanted; retire the rest.

        With ``changed``, look only at these, and only if their fingerprints are still the same. An
        unwanted version stays in service while a wanted one fails to load, and so does a version
        whose folder cannot be read any more. Raises ModelsFolderError.
        """
        async with self._models[name]:
            scan = await self._scan(name)
            found = scan.fingerprints
            known = {key for key in self._registry.fingerprints if key.name == name}
            concerned = [
                key
                for key in sorted({*found, *known}, key=partial(_urgency, scan.default(name)))
                if changed is None or (key in changed and changed[key] == found.get(key))
            ]
            try:
                await self._serve_and_retire(concerned, scan)
            finally:
                self._registry.loading.difference_update(concerned)

    async def _serve_and_retire(self, concerned: list[VersionKey], scan: Scan) -> None:
        found = scan.fingerprints
        failed = [
            key
            for key in concerned
            if key in found and self._is_wanted(key) and not await self._serve(key, found[key])
        ]
        for key in concerned:
            if key not in found:
                if not scan.hides(key):
                    self._retire(key)
                    self._registry.forget(key)
            elif not self._is_wanted(key) and not failed:
                self._retire(key)
                self._registry.mark_unloaded(key, found[key])

    async def _serve(self, key: VersionKey, fingerprint: Fingerprint) -> bool:
        """Serve the folder unless it is served already; return whether it is in service now."""
        if self._registry.serves(key) and self._registry.fingerprints.get(key) == fingerprint:
            return True
        self._registry.fingerprints[key] = fingerprint
        self._registry.loading.add(key)
        try:
            version = await self._loader.load(key)
        except Exception as error:  # no content of a folder may end the server
            if isinstance(error, StartupError) and not self._started:
                raise
            if not isinstance(error, CardError | StartupError):
                logger.exception("%s cannot be loaded", key)
            self._registry.refuse(key, str(error) or repr(error))
            self._record("refused")
            return False
        finally:
            self._registry.loading.discard(key)
        self._registry.add(version)
        self._registry.clear_refusal(key)
        self._record("served")
        return True

    def _retire(self, key: VersionKey) -> None:
        if self._registry.retire(key):
            self._record("retired")

    def _record(self, result: ReloadResult) -> None:
        """Count a result for the metrics, except at the start."""
        if self._started:
            self._count(result)

    def _is_wanted(self, key: VersionKey) -> bool:
        wanted = self._wanted.get(key.name)
        return wanted is None or key.number in wanted


def _urgency(default: int | None, key: VersionKey) -> tuple[bool, int, VersionKey]:
    """Sorts the versions of a model as they are loaded: the default one first, then downwards."""
    return key.number != default, -(key.number or 0), key


async def _repeat(action: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await action()
        except ModelsFolderError:
            continue  # its reason is in the registry and in the log
        except Exception:
            logger.exception("the models folder could not be read")
