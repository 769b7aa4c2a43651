"""A micro-batcher over any callable. Knows no ONNX and no HTTP.

It queues images, not requests: small requests are merged and large ones split. It waits for
nobody: while the engine computes one batch the next one gathers, and an idle engine starts on
whatever is there.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Rows = Mapping[str, Array]
Compute = Callable[[Rows], Array]

logger = logging.getLogger(__name__)

# Weight of the newest batch in the measured speed: a memory of about ten batches.
_NEWEST = 0.1


class QueueFullError(Exception):
    """No room for these rows now; ``retry_after`` seconds from now there should be."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"{waiting} images are waiting")
        self.waiting, self.retry_after = waiting, retry_after


class ClosedError(Exception):
    """The batcher takes no more rows."""


class BatchError(Exception):
    """The batch that held these rows could not be computed."""


@dataclass(frozen=True)
class Computed:
    """The results of one request, and the seconds that they took."""

    results: Array
    queue: float
    """How long its rows waited: for their turn, and between their batches."""
    compute: float
    """How long the batches took that held its rows, and those of others."""


@dataclass(eq=False)
class _Job:
    """The rows of one request, and what is known of their results."""

    rows: Rows
    count: int
    settled: asyncio.Future[Array]
    taken: int = 0
    seconds: float = 0.0
    parts: list[Array] = field(default_factory=list)

    def take(self, most: int) -> Rows:
        first, self.taken = self.taken, min(self.count, self.taken + most)
        return {name: values[first : self.taken] for name, values in self.rows.items()}

    def give(self, part: Array, seconds: float) -> None:
        self.parts.append(part)
        self.seconds += seconds
        if sum(map(len, self.parts)) == self.count and not self.settled.done():
            whole = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
            self.settled.set_result(whole)

    def fail(self, error: Exception) -> None:
        if not self.settled.done():
            self.settled.set_exception(error)


class Batcher:
    """Runs ``compute`` on merged rows, one batch at a time, on a thread of its own."""

    def __init__(self, compute: Compute, max_batch: int, max_queue: int) -> None:
        """``compute`` gives one result for every row, along the first axis."""
        self._compute, self._max_batch, self._max_queue = compute, max_batch, max_queue
        self._queue: deque[_Job] = deque()
        self._waiting = 0
        self._arrived = asyncio.Event()
        self._closing = False
        self._rows_a_second = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, rows: Rows) -> Computed:
        """One result a row, in order. Every row's array has the same length, at least one.

        Raises QueueFullError or ClosedError at once, BatchError where ``compute`` failed.
        """
        began = time.perf_counter()
        count = len(next(iter(rows.values())))
        if self._closing:
            raise ClosedError
        if self._waiting + count > self._max_queue:
            raise QueueFullError(self._waiting, self._seconds_for(count))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        job = _Job(rows, count, asyncio.get_running_loop().create_future())
        self._queue.append(job)
        self._waiting += count
        self._arrived.set()
        results = await job.settled
        return Computed(results, time.perf_counter() - began - job.seconds, job.seconds)

    async def close(self) -> None:
        """Take no more rows, finish those that wait, and end the thread."""
        self._closing = True
        self._arrived.set()
        if self._worker is not None:
            await self._worker
        self._thread.shutdown()

    async def _work(self) -> None:
        while True:
            batch = self._gather()
            if batch:
                await self._run(batch)
            elif self._closing:
                return
            else:
                self._arrived.clear()
                await self._arrived.wait()

    def _gather(self) -> list[tuple[_Job, Rows]]:
        """The next batch, from as many jobs as it holds. Rows that nobody awaits are dropped."""
        batch: list[tuple[_Job, Rows]] = []
        room = self._max_batch
        while self._queue and room:
            job = self._queue[0]
            left = job.count - job.taken
            if job.settled.done():
                self._waiting -= left
                self._queue.popleft()
                continue
            batch.append((job, job.take(room)))
            taken = min(left, room)
            room -= taken
            self._waiting -= taken
            if taken == left:
                self._queue.popleft()
        return batch

    async def _run(self, batch: list[tuple[_Job, Rows]]) -> None:
        """Compute one batch and settle its jobs: all with results, or all with the failure."""
        parts = [rows for _, rows in batch]
        lengths = [len(next(iter(rows.values()))) for rows in parts]
        try:
            results, seconds = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._timed, _merged(parts), sum(lengths)
            )
        except Exception as error:
            logger.exception("a batch of %d images failed", sum(lengths))
            for job, _ in batch:
                job.fail(BatchError(str(error)))
            return
        self._measure(sum(lengths), seconds)
        ends = np.cumsum(lengths)[:-1]
        for (job, _), part in zip(batch, np.split(results, ends), strict=True):
            job.give(part, seconds)

    def _timed(self, rows: Rows, count: int) -> tuple[Array, float]:
        """On the thread: the results of ``count`` rows, and the seconds that they took."""
        began = time.perf_counter()
        results = self._compute(rows)
        if len(results) != count:
            raise BatchError(f"{count} rows gave {len(results)} results")
        return results, time.perf_counter() - began

    def _measure(self, rows: int, seconds: float) -> None:
        speed = rows / max(seconds, 1e-9)
        known = self._rows_a_second or speed
        self._rows_a_second = (1 - _NEWEST) * known + _NEWEST * speed

    def _seconds_for(self, count: int) -> float:
        """How long until ``count`` more rows have room, at the measured speed."""
        surplus = self._waiting + count - self._max_queue
        return surplus / self._rows_a_second if self._rows_a_second else 1.0


def _merged(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}
