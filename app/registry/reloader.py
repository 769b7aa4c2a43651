"""The models folder while the server runs: what is new in it is taken into service."""

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from app.artifact import version_folders
from app.artifact.card import CardError
from app.artifact.version_folders import Fingerprint
from app.errors import NotFoundError, RepositoryError, StartupError, offence
from app.observability.metrics import Metrics
from app.registry import loader
from app.registry.registry import MODELS, UNLOADED, Catalog
from app.registry.reload_log import Order, Orders
from app.settings import Settings

logger = logging.getLogger(__name__)

_EVERY, _LONGEST = 0.2, 30.0
"""Seconds: between looks for an order from elsewhere, and until all workers have obeyed one."""


class Repository:
    """Loads, reloads and unloads versions, one after the other, while the others draw.

    A version that cannot be served changes nothing but its reason in the catalog.
    """

    def __init__(
        self,
        catalog: Catalog,
        settings: Settings,
        orders: Orders,
        metrics: Metrics,
    ) -> None:
        """``catalog`` was loaded from the folder of ``settings`` a moment ago."""
        self._catalog, self._settings, self._orders = catalog, settings, orders
        self._wanted: dict[str, list[int]] = {}
        self._before: dict[str, Fingerprint] = {}
        self._one_at_a_time = asyncio.Lock()
        self._metrics = metrics

    async def load(self, name: str, versions: list[int] | None = None) -> None:
        """Serve ``versions`` of a model and no others, or all; return once every worker does.

        Raises NotFoundError for what the models folder has not, RepositoryError with the reasons
        where a version cannot be served. Those that can be are served all the same.
        """
        await self._check(name, versions or [])
        await self._order(Order(name, versions))
        refused = (one for one in self._catalog.refused if one.folder.startswith(f"{name}/"))
        if reasons := "; ".join(one.reason for one in refused if one.reason != UNLOADED):
            raise RepositoryError(f"not all of {name} is served: {reasons}")

    async def unload(self, name: str) -> None:
        """Take a model out of service until it is loaded; return once every worker has.

        Raises NotFoundError for one that is not in the models folder.
        """
        await self._check(name, [])
        await self._order(Order(name, []))

    def reload(self) -> None:
        """Let every worker look at the whole models folder soon."""
        self._orders.give(Order())

    async def follow(self) -> None:
        """Carry out what has been ordered, one after the other. Raises RepositoryError."""
        async with self._one_at_a_time:
            while (order := self._orders.next()) is not None:
                if order.model is not None:
                    self._wanted.pop(order.model, None)
                    if order.versions is not None:
                        self._wanted[order.model] = order.versions
                try:
                    found = await self._marks()
                    known = {*found, *self._catalog.marks}
                    await self._take_up(filter(order.concerns, known), found)
                finally:
                    self._orders.obey()

    async def watch(self) -> None:
        """Take up what has changed in the models folder, but not since the last look.

        A folder that is still being copied changes from one look to the next. Raises
        RepositoryError.
        """
        async with self._one_at_a_time:
            before, self._before = self._before, await self._marks()
            now, known = self._before, self._catalog.marks
            settled = (one for one in {*now, *known} if now.get(one) == before.get(one))
            await self._take_up([one for one in settled if now.get(one) != known.get(one)], now)

    @asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        """Meanwhile orders and SIGHUP are followed, and the folder is watched if told to."""
        with suppress(RepositoryError):
            await self.follow()  # the orders from before this worker
        self._orders.sign()
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)
        tasks = [asyncio.create_task(_repeat(self.follow, _EVERY))]
        if seconds := self._settings.watch:
            tasks.append(asyncio.create_task(_repeat(self.watch, seconds)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _check(self, name: str, versions: list[int]) -> None:
        """Raise NotFoundError unless all that is there to be loaded."""
        found = [folder.split("/") for folder in await self._marks()]
        for parameter, wanted, there in (
            ("model", [name], {model for model, _ in found} | self._catalog.models.keys()),
            ("versions", versions, {int(v) for model, v in found if model == name and v.isdigit()}),
        ):
            for one in wanted:
                if one not in there:
                    allowed = f"one of {', '.join(map(str, sorted(there)))}" if there else "no such"
                    problem = offence(parameter, "path", one, allowed)
                    raise NotFoundError(f"{parameter} is {one!r} but must be {allowed}", [problem])

    async def _order(self, order: Order) -> None:
        number = self._orders.give(order)
        await self.follow()
        try:
            async with asyncio.timeout(_LONGEST):
                while not self._orders.obeyed_by_all(number):  # noqa: ASYNC110 # they are processes
                    await asyncio.sleep(_EVERY / 4)
        except TimeoutError as error:
            raise RepositoryError("not every worker has answered yet") from error
        # Who found that out may have been another task.
        if reasons := [one.reason for one in self._catalog.refused if one.folder == MODELS]:
            raise RepositoryError("; ".join(reasons))

    async def _marks(self) -> dict[str, Fingerprint]:
        """What lies in the models folder. Raises RepositoryError where nobody can tell."""
        try:
            found = await asyncio.to_thread(version_folders.fingerprints, self._settings.models)
        except OSError as error:
            reason = f"{error.filename}: cannot be read: {error.strerror}"
            self._catalog.refuse(MODELS, reason)
            raise RepositoryError(reason) from error
        self._catalog.forgive(MODELS)
        return found

    async def _take_up(self, concerned: Iterable[str], found: dict[str, Fingerprint]) -> None:
        """Serve what is ``found`` and wanted of the folders ``concerned``, retire the rest."""
        ordered = sorted(concerned)
        failed = {
            _name(f)
            for f in ordered
            if f in found and self._is_wanted(f) and not await self._try(f, found[f])
        }
        for folder in ordered:
            if folder not in found:
                self._retire(folder)
                self._catalog.forget(folder)
            elif not self._is_wanted(folder) and _name(folder) not in failed:
                self._retire(folder)
                self._catalog.put_aside(folder, found[folder])

    async def _try(self, folder: str, mark: Fingerprint) -> bool:
        """Serve ``folder`` unless that is so already; whether it is served as it lies there."""
        if self._catalog.serves(folder) and self._catalog.marks.get(folder) == mark:
            return True
        self._catalog.marks[folder] = mark
        try:
            served = await asyncio.to_thread(
                loader.load,
                self._settings.models / folder,
                self._settings,
                self._metrics.image_counter,
            )
        except Exception as error:  # whatever lies in a folder ends no server
            if not isinstance(error, CardError | StartupError):
                logger.exception("%s cannot be loaded", folder)
            self._catalog.refuse(folder, str(error) or repr(error))
            self._metrics.count_reload("refused")
            return False
        self._catalog.add(served)
        self._catalog.forgive(folder)
        self._metrics.count_reload("served")
        return True

    def _retire(self, folder: str) -> None:
        if self._catalog.retire(folder):
            self._metrics.count_reload("retired")

    def _is_wanted(self, folder: str) -> bool:
        name, _, version = folder.partition("/")
        wanted = self._wanted.get(name)
        return wanted is None or version in map(str, wanted)


def _name(folder: str) -> str:
    return folder.partition("/")[0]


async def _repeat(action: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await action()
        except RepositoryError:
            continue  # its reason is in the catalog and in the log
        except Exception:
            logger.exception("the models folder could not be looked at")
