"""Threads for work on request bodies and responses that would block the event loop.

Their number follows the CPUs of this process, and the memory of all work in progress has a budget:
large work waits for its turn, in the order of its arrival, and is refused where it would wait for
too long. asyncio's own threads stay free for metrics and hot reload.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from app.batching.batcher import Throughput
from app.errors import OverloadedError

T = TypeVar("T")

SMALL_BYTES = 2**20
"""Smaller work never waits for large work; it counts towards the budget all the same."""
LONGEST_WAIT = 10.0
"""Seconds. Work that is expected to wait for longer is refused."""


class Encoders:
    """A bounded number of threads with a budget of memory. All methods run on one event loop."""

    def __init__(self, threads: int, budget: int) -> None:
        """``budget`` is the memory in bytes that work may use at the same time.

        A single piece of work that needs more runs alone.
        """
        self.threads, self._budget = threads, budget
        self._pool = ThreadPoolExecutor(threads, "encoder")
        self._in_use, self._large = 0, 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._throughput = Throughput()

    @property
    def waiting(self) -> int:
        """Bytes of the work that waits for its turn."""
        return sum(size for size, _ in self._waiting)

    def check(self, size: int) -> None:
        """Raise OverloadedError if work of ``size`` bytes would be refused now."""
        if size <= SMALL_BYTES or not (waiting := self.waiting):
            return
        seconds = self._throughput.seconds(waiting + self._in_use)
        if seconds > LONGEST_WAIT:
            detail = f"the server is busy: {waiting >> 20} MiB of images are waiting to be encoded"
            raise OverloadedError(detail, math.ceil(seconds - LONGEST_WAIT))

    async def run(self, work: Callable[[], T], size: int) -> T:
        """Return ``work()``, which uses about ``size`` bytes of memory, computed on a thread.

        Raises OverloadedError if it would wait for too long, and the errors of ``work``.
        """
        self.check(size)
        await self._turn(size)
        loop = asyncio.get_running_loop()

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(self._give_back, size)

        future = self._pool.submit(_timed, work)
        # Also if the request is cancelled: a thread that has begun keeps its memory until it ends.
        future.add_done_callback(ended)
        result, seconds = await asyncio.wrap_future(future)
        at_once = max(1, min(self.threads, self._budget // max(1, size)))
        self._throughput.measure(size, seconds / at_once)
        return result

    async def _turn(self, size: int) -> None:
        """Take ``size`` bytes of the budget, once all large work before has its share."""
        if size > SMALL_BYTES and (self._waiting or not self._fits(size)):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            entry = (size, turn)
            self._waiting.append(entry)
            try:
                await turn
            except asyncio.CancelledError:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                    self._admit()
                else:
                    self._give_back(size)
                raise
        else:
            self._take(size)

    def _take(self, size: int) -> None:
        self._in_use += size
        self._large += size > SMALL_BYTES

    def _give_back(self, size: int) -> None:
        self._in_use -= size
        self._large -= size > SMALL_BYTES
        self._admit()

    def _admit(self) -> None:
        """Let the first waiting work begin while there is room."""
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            if not turn.done():
                self._take(size)
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return not self._large or self._in_use + size <= self._budget

    def close(self) -> None:
        """End the threads; work in progress is completed."""
        self._pool.shutdown()


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began
