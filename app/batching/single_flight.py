"""One computation for all who want the same at the same time. Knows no HTTP."""

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.batching.jobs import Claim, DisconnectedError, ExpiredError

T = TypeVar("T")


@dataclass(eq=False)
class _Flight(Generic[T]):
    """One computation, and how many await it."""

    task: asyncio.Task[T]
    client: Hashable
    """On whose behalf it was begun."""
    passengers: int = 0


class SingleFlight(Generic[T]):
    """Computations by key: who asks while one is under way awaits that very one.

    It belongs to nobody: one who leaves, or has no more time, takes nothing from the others, and it
    is given up once nobody awaits it. A failure is everybody's, but for what is ``personal``: that
    concerns the client on whose behalf it was begun, and for another it is begun anew.
    """

    def __init__(self, *personal: type[Exception]) -> None:
        self._personal = personal
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(
        self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]], claim: Claim
    ) -> T:
        """The result of ``compute``, or of the one under way with the same ``key``.

        Raises ExpiredError at the deadline of ``claim``, DisconnectedError if its client
        disconnects, and any exception of ``compute``.
        """
        began = time.perf_counter()
        while True:
            flight = self._flights.get(key) or self._begin(key, compute, claim.client)
            flight.passengers += 1
            try:
                return await _landing(flight.task, claim, began)
            except self._personal:
                if flight.client == claim.client:
                    raise
            finally:
                flight.passengers -= 1
                if not flight.passengers:
                    flight.task.cancel()
                    self._forget(key, flight)

    def _begin(
        self, key: Hashable, compute: Callable[[], Coroutine[Any, Any, T]], client: Hashable
    ) -> _Flight[T]:
        flight = _Flight(asyncio.create_task(compute()), client)
        self._flights[key] = flight

        def landed(task: asyncio.Task[T]) -> None:
            self._forget(key, flight)
            if not task.cancelled():
                task.exception()  # or asyncio complains of one that nobody has awaited

        flight.task.add_done_callback(landed)
        return flight

    def _forget(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _landing(task: asyncio.Task[T], claim: Claim, began: float) -> T:
    """The result of ``task``, which goes on where the deadline passes or the client leaves."""
    awaited: set[asyncio.Future[Any]] = {task}
    if claim.disconnected:
        gone = asyncio.ensure_future(claim.disconnected())
        awaited.add(gone)
    left = None if claim.deadline == math.inf else claim.deadline - time.perf_counter()
    try:
        await asyncio.wait(awaited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for watch in awaited - {task}:
            watch.cancel()
    if task.done():
        return task.result()
    if any(watch.done() and not watch.cancelled() for watch in awaited):
        raise DisconnectedError
    raise ExpiredError(f"after {time.perf_counter() - began:.2f} s it was still being drawn")
