"""Single flight: concurrent requests for the same result share one computation."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.batching.jobs import Claim, DisconnectedError, ExpiredError

T = TypeVar("T")


@dataclass(eq=False)
class _Flight(Generic[T]):
    """A computation in progress."""

    task: asyncio.Future[T]
    client: Hashable
    """The client whose request started it."""
    waiters: int = 0
    """Number of requests that wait for its result."""


class SingleFlight(Generic[T]):
    """Computations in progress by key; a request for the same key waits for the same computation.

    No request owns the computation: if one disconnects or reaches its deadline, the others still
    get the result, and the computation is cancelled only when no request waits for it. A failure is
    raised for every waiting request, unless its type is in ``client_errors``: such an error
    concerns only the client whose request started the computation, and the requests of other
    clients start a new one.
    """

    def __init__(self, *client_errors: type[Exception]) -> None:
        self._client_errors = client_errors
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, compute: Callable[[], Awaitable[T]], claim: Claim) -> T:
        """Return the result of the computation in progress for ``key``, or of a new ``compute()``.

        Raises ExpiredError at the deadline of ``claim``, DisconnectedError if its client
        disconnects, and any exception of ``compute``.
        """
        began = time.perf_counter()
        while True:
            flight = self._flights.get(key) or self._start(key, compute, claim.client)
            flight.waiters += 1
            try:
                return await _result(flight.task, claim, began)
            except self._client_errors:
                if flight.client == claim.client:
                    raise
            finally:
                flight.waiters -= 1
                if not flight.waiters:
                    flight.task.cancel()
                    self._remove(key, flight)

    def _start(
        self, key: Hashable, compute: Callable[[], Awaitable[T]], client: Hashable
    ) -> _Flight[T]:
        flight = _Flight(asyncio.ensure_future(compute()), client)
        self._flights[key] = flight

        def ended(task: asyncio.Future[T]) -> None:
            self._remove(key, flight)
            if not task.cancelled():
                task.exception()  # otherwise asyncio logs an exception that no request retrieved

        flight.task.add_done_callback(ended)
        return flight

    def _remove(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _result(task: asyncio.Future[T], claim: Claim, began: float) -> T:
    """Return the result of ``task``, which continues after a deadline or a disconnect.

    Raises ExpiredError, DisconnectedError and any exception of ``task``.
    """
    awaited: set[asyncio.Future[Any]] = {task}
    if claim.disconnected:
        awaited.add(asyncio.ensure_future(claim.disconnected()))
    timeout = None if claim.deadline == math.inf else claim.deadline - time.perf_counter()
    try:
        await asyncio.wait(awaited, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for monitor in awaited - {task}:
            monitor.cancel()
    if task.done():
        return task.result()
    if any(monitor.done() and not monitor.cancelled() for monitor in awaited):
        raise DisconnectedError
    raise ExpiredError(f"after {time.perf_counter() - began:.2f} s it was still being computed")
