"""Threads for work on request bodies and responses that would block the event loop.

Their number follows the CPUs of this process, and the memory of all work in progress has a budget:
large work waits for its turn, one piece of each client after the other, and is refused where it
would wait for too long. asyncio's own threads stay free for metrics and hot reload.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from app.batching.batcher import Throughput
from app.batching.jobs import ANONYMOUS, Claim
from app.errors import DeadlineError, OverloadedError

T = TypeVar("T")

SMALL_BYTES = 2**20
"""Smaller work never waits for large work; it counts towards the budget all the same."""
LONGEST_WAIT = 10.0
"""Seconds. Work that is expected to wait for longer is refused."""


@dataclass(eq=False)
class _Waiting:
    """Work that waits for its turn."""

    size: int
    turn: asyncio.Event


class Encoders:
    """A bounded number of threads with a budget of memory. All methods run on one event loop."""

    def __init__(self, threads: int, budget: int) -> None:
        """``budget`` is the memory in bytes that work may use at the same time.

        A single piece of work that needs more runs alone.
        """
        self.threads, self.budget = threads, budget
        self._pool = ThreadPoolExecutor(threads, "encoder")
        self._in_use, self._large = 0, 0
        self._waiting: dict[Hashable, deque[_Waiting]] = {}
        # Bytes of large work per second.
        self._throughput = Throughput()

    @property
    def waiting(self) -> int:
        """Bytes of the work that waits for its turn."""
        return sum(one.size for pieces in self._waiting.values() for one in pieces)

    def check(self, size: int) -> None:
        """Raise OverloadedError if work of ``size`` bytes would be refused now."""
        if size <= SMALL_BYTES or not (waiting := self.waiting):
            return
        seconds = self._throughput.seconds(waiting + self._in_use)
        if seconds > LONGEST_WAIT:
            detail = f"the server is busy: {waiting >> 20} MiB of images are waiting to be encoded"
            raise OverloadedError(detail, math.ceil(seconds - LONGEST_WAIT))

    async def run(self, work: Callable[[], T], size: int, claim: Claim = ANONYMOUS) -> T:
        """Return ``work()``, which uses about ``size`` bytes of memory, computed on a thread.

        Raises OverloadedError if it would wait for too long, DeadlineError if it still waits at
        the deadline of ``claim``, and the errors of ``work``.
        """
        self.check(size)
        await self._turn(size, claim)
        loop = asyncio.get_running_loop()

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._give_back, size)

        future = self._pool.submit(_timed, work)
        # Also if the request is cancelled: a thread that has begun keeps its memory until it ends.
        future.add_done_callback(ended)
        result, seconds = await asyncio.wrap_future(future)
        if size > SMALL_BYTES:
            at_once = max(1, min(self.threads, self.budget // size))
            self._throughput.measure(size, seconds / at_once)
        return result

    async def _turn(self, size: int, claim: Claim) -> None:
        """Take ``size`` bytes of the budget once it is the client's turn and they fit.

        Raises DeadlineError at the deadline of ``claim``.
        """
        if size <= SMALL_BYTES or not (self._waiting or not self._fits(size)):
            self._take(size)
            return
        began, waiting = time.perf_counter(), _Waiting(size, asyncio.Event())
        self._waiting.setdefault(claim.client, deque()).append(waiting)
        timeout = None if claim.deadline == math.inf else claim.deadline - began
        try:
            async with asyncio.timeout(timeout):
                await waiting.turn.wait()
        except BaseException as error:
            if waiting.turn.is_set():
                self._give_back(size)
            else:
                self._leave(claim.client, waiting)
            if isinstance(error, TimeoutError):
                seconds = time.perf_counter() - began
                detail = f"after {seconds:.2f} s the images were waiting to be encoded"
                raise DeadlineError(f"not generated in time: {detail}") from error
            raise

    def _leave(self, client: Hashable, waiting: _Waiting) -> None:
        """Remove work whose request has ended."""
        self._waiting[client].remove(waiting)
        if not self._waiting[client]:
            del self._waiting[client]
        self._admit()

    def _take(self, size: int) -> None:
        self._in_use += size
        self._large += size > SMALL_BYTES

    def _give_back(self, size: int) -> None:
        self._in_use -= size
        self._large -= size > SMALL_BYTES
        self._admit()

    def _admit(self) -> None:
        """Let waiting work begin while there is room: one piece of each client in turn."""
        while self._waiting:
            client, pieces = next(iter(self._waiting.items()))
            if not self._fits(pieces[0].size):
                return
            waiting = pieces.popleft()
            del self._waiting[client]
            if pieces:
                self._waiting[client] = pieces  # behind the other clients
            self._take(waiting.size)
            waiting.turn.set()

    def _fits(self, size: int) -> bool:
        return not self._large or self._in_use + size <= self.budget

    def close(self) -> None:
        """End the threads; work in progress is completed."""
        self._pool.shutdown()


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began
