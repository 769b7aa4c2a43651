"""A micro-batcher over any function of arrays, independent of ONNX and HTTP.

It queues images, not requests: small requests are merged and large ones are split. It never waits
for a batch to fill: while the engine computes one batch, the next one accumulates, and an idle
engine starts at once on the rows that are queued. Rows whose deadline passes, or whose client
disconnects, while they are in the queue are never computed. Clients take turns, see FairQueue.
"""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, takewhile

import numpy as np

from app.batching.fair_queue import FairQueue
from app.batching.fair_share import FairShare
from app.batching.jobs import (
    ANONYMOUS,
    Array,
    BatcherClosedError,
    BatchError,
    Claim,
    Computed,
    Counts,
    DisconnectedError,
    ExpiredError,
    Job,
    Outcome,
    OutcomeObserver,
    QueueFullError,
    Rows,
    ShareError,
    ignore_outcomes,
)

Compute = Callable[[Rows], Array]
Merge = Callable[[Sequence[Rows]], Rows]
"""Makes one batch of the rows of several requests, in order."""

# Weight of the newest batch in the average throughput: a memory of about ten batches.
_NEWEST = 0.1
_SOON = 0.02
"""Seconds after which a job gets a timer and a task of its own; by then, most jobs have ended.

All new jobs are checked together at this interval, so it may take twice as long.
"""

logger = logging.getLogger(__name__)


def concatenated(parts: Sequence[Rows]) -> Rows:
    """The rows of all ``parts``, which have the same names."""
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}


class Throughput:
    """Exponential moving average of the rows computed per second."""

    def __init__(self) -> None:
        self._rows_per_second = 0.0

    def measure(self, rows: int, seconds: float) -> None:
        """Include a batch of ``rows`` that took ``seconds``."""
        measured = rows / max(seconds, 1e-9)
        average = self._rows_per_second or measured
        self._rows_per_second = (1 - _NEWEST) * average + _NEWEST * measured

    def seconds(self, rows: float) -> float:
        """Estimate how long ``rows`` will take; one second before the first measurement."""
        return rows / self._rows_per_second if self._rows_per_second else 1.0


class Batcher:
    """Runs ``compute`` on merged rows, one batch at a time, on a thread of its own.

    ``submit`` and ``close`` must be called on the same event loop.
    """

    def __init__(
        self,
        compute: Compute,
        max_batch: int,
        max_queue: int,
        observer: OutcomeObserver = ignore_outcomes,
        inline_seconds: float = 0.0,
    ) -> None:
        """``max_batch`` and ``max_queue`` count rows. No thread starts before the first ``submit``.

        ``compute`` returns one result per row, along the first axis. A batch that is expected to
        take less than ``inline_seconds`` is computed on the event loop, if no other rows are
        queued: waking the thread would take longer.
        """
        self._compute, self._max_batch = compute, max_batch
        self.merge: Merge = concatenated
        """Runs where ``compute`` does, before it."""
        self._observer, self._inline_seconds = observer, inline_seconds
        self._queue = FairQueue(max_batch)
        self._shares = FairShare(max_queue)
        self._new: dict[Job, None] = {}
        """Jobs that nobody attends to yet, see ``_attend``, in order of arrival."""
        self._attends = False
        """Whether ``_attend_to_new`` is scheduled."""
        self._wake_up = asyncio.Event()
        self._closing = False
        self._batches = 0
        self._throughput = Throughput()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._worker: asyncio.Task[None] | None = None
        self.counts = Counts()
        self.running = 0
        """Number of the batch that is being computed, counted from 1; 0 while there is none."""

    @property
    def waiting(self) -> int:
        """Number of images in the queue."""
        return self._shares.waiting

    def full(self, count: int) -> bool:
        """Return whether the queue has no room for ``count`` more rows."""
        return bool(self._shares.surplus(count))

    def check(self, client: Hashable, count: int, cost: float | None = None) -> None:
        """Raise the error with which ``submit`` would refuse ``count`` rows of ``client`` now.

        Raises BatcherClosedError after ``close``, ShareError if the ``cost`` of the rows exceeds
        the fair share of the client, and QueueFullError if the queue has no room for so many rows.
        Changes nothing.
        """
        if self._closing:
            raise BatcherClosedError
        if excess := self._shares.excess(client, count if cost is None else cost):
            raise ShareError(self.waiting, self._throughput.seconds(excess))
        if surplus := self._shares.surplus(count):
            raise QueueFullError(self.waiting, self._throughput.seconds(surplus))

    def note_refused(self, client: Hashable) -> None:
        """Reserve a share of the queue for ``client``, until the queue is empty.

        ``submit`` does so when the queue is full. Call it for a request that is refused for lack of
        room before it is submitted.
        """
        self._shares.note_refused(client)

    async def submit(
        self, rows: Rows, claim: Claim = ANONYMOUS, cost: float | None = None
    ) -> Computed:
        """Return one result per row, in order. All arrays have the same length, at least 1.

        ``cost`` is what the rows cost their client, in rows of ordinary cost; by default their
        number. It counts for the client's share of the queue, the rows themselves for its length.
        Raises QueueFullError, ShareError or BatcherClosedError immediately, ExpiredError at the
        deadline, DisconnectedError if the client disconnects, BatchError if ``compute`` fails.
        """
        submitted = time.perf_counter()
        count = len(next(iter(rows.values())))
        cost = count if cost is None else cost
        try:
            self.check(claim.client, count, cost)
        except ShareError:
            raise
        except QueueFullError:
            self.note_refused(claim.client)
            raise
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        future = asyncio.get_running_loop().create_future
        job = Job(rows, count, claim, future(), submitted, cost)
        self._queue.add(job)
        self._shares.add(claim.client, count, cost)
        self._wake_up.set()
        self._attend_soon(job)
        try:
            results, seconds = await job.result, job.compute_seconds
            return Computed(results, time.perf_counter() - submitted - seconds, seconds)
        except asyncio.CancelledError:
            self._drop(job, "left")
            raise
        finally:
            self._leave(job)
            del job  # an error has this frame in its traceback, and the job has the error: a cycle

    def _attend_soon(self, job: Job) -> None:
        """Attend to a new job: at once if it expires soon, else with others that still wait."""
        if job.claim.deadline < job.submitted + 2 * _SOON:
            self._attend(job)
            return
        self._new[job] = None
        if not self._attends:
            self._attends = True
            asyncio.get_running_loop().call_later(_SOON, self._attend_to_new)

    def _attend_to_new(self) -> None:
        """Attend to the jobs that have waited for ``_SOON``; check the others next time."""
        latest = time.perf_counter() - _SOON
        for job in [*takewhile(lambda job: job.submitted <= latest, self._new)]:
            del self._new[job]
            if not job.result.done():
                self._attend(job)
        self._attends = bool(self._new)
        if self._attends:
            asyncio.get_running_loop().call_later(_SOON, self._attend_to_new)

    def _attend(self, job: Job) -> None:
        """Notice the deadline of ``job``, and if its client disconnects before it is computed."""
        if job.claim.deadline < math.inf:
            delay = job.claim.deadline - time.perf_counter()
            job.timer = asyncio.get_running_loop().call_later(delay, self._expire, job)
        if job.claim.disconnected and job.queued:
            job.disconnect = asyncio.ensure_future(job.claim.disconnected())
            job.disconnect.add_done_callback(partial(self._disconnect, job))

    def _leave(self, job: Job) -> None:
        """Stop attending to ``job``, which has ended."""
        self._new.pop(job, None)
        if job.timer:
            job.timer.cancel()
        if job.disconnect:
            job.disconnect.cancel()

    def _expire(self, job: Job) -> None:
        job.fail(ExpiredError(job.progress))
        self._drop(job, "deadline")

    def _disconnect(self, job: Job, disconnect: asyncio.Future[None]) -> None:
        if disconnect.cancelled():
            return
        job.fail(DisconnectedError())
        self._drop(job, "left")

    def _drop(self, job: Job, reason: Outcome) -> None:
        """Remove the rows of ``job`` that are still queued."""
        if dropped := job.queued:
            self._queue.remove(job)
            self._shares.remove(job.claim.client, dropped, job.cost_of(dropped))
            self._count(reason, dropped)

    def _count(self, outcome: Outcome, images: int) -> None:
        setattr(self.counts, outcome, getattr(self.counts, outcome) + images)
        self._observer(outcome, images)

    def close_soon(self) -> None:
        """Schedule ``close`` from any thread. To be called when nothing more will be submitted."""
        if self._worker is not None and not (loop := self._worker.get_loop()).is_closed():
            asyncio.run_coroutine_threadsafe(self.close(), loop)

    async def close(self) -> None:
        """Refuse further rows, compute those in the queue, and end the thread."""
        self._closing = True
        self._wake_up.set()
        if self._worker is not None:
            await self._worker
        self._thread.shutdown()

    async def _work(self) -> None:
        """Compute batch after batch until the batcher is closed and its queue is empty."""
        while True:
            batch = self._next_batch()
            if batch:
                await self._run(batch)
            elif self._closing:
                return
            else:
                self._wake_up.clear()
                await self._wake_up.wait()

    def _next_batch(self) -> list[tuple[Job, Rows]]:
        """Take the rows of the next batch out of the queue; none if the queue is empty."""
        batch = []
        for job, first in self._queue.take(self._is_wanted).items():
            taken = job.taken - first
            self._shares.remove(job.claim.client, taken, job.cost_of(taken))
            batch.append((job, job.rows_from(first)))
        return batch

    def _is_wanted(self, job: Job) -> bool:
        """Whether a request still waits for ``job``; drops it if not."""
        if job.result.done():  # its task was cancelled but has not run since
            self._drop(job, "left")
        elif job.expired:  # its timer has not run yet
            self._expire(job)
        else:
            return True
        return False

    async def _run(self, batch: list[tuple[Job, Rows]]) -> None:
        """Compute one batch and give every job its results, or the error if the batch fails."""
        parts = [rows for _, rows in batch]
        lengths = [len(next(iter(rows.values()))) for rows in parts]
        count = sum(lengths)
        self._batches += 1
        self.running = self._batches
        try:
            results, seconds = await self._computed(parts, count)
        except Exception as error:
            fault = secrets.token_hex(4)
            logger.exception("fault %s: a batch of %d images failed", fault, count)
            self._fail(batch, count, BatchError(str(error), fault))
            return
        finally:
            self.running = 0
        self._count("computed", count)
        self._throughput.measure(count, seconds)
        for (job, _), length, end in zip(batch, lengths, accumulate(lengths), strict=True):
            job.add(results[end - length : end], seconds)

    def _fail(self, batch: list[tuple[Job, Rows]], count: int, error: BatchError) -> None:
        self._count("failed", count)
        for job, _ in batch:
            job.fail(error)
            self._drop(job, "failed")

    async def _computed(self, parts: list[Rows], count: int) -> tuple[Array, float]:
        """Return what ``_timed`` returns, computed inline or on the thread; see ``__init__``."""
        if not self._queue and self._throughput.seconds(count) < self._inline_seconds:
            return self._timed(parts, count)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._timed, parts, count)

    def _timed(self, parts: list[Rows], count: int) -> tuple[Array, float]:
        """Return the results of all ``parts``, ``count`` rows, and the seconds that they took.

        Raises ValueError if the number of results differs from ``count``.
        """
        began = time.perf_counter()
        results = self._compute(self.merge(parts))
        if len(results) != count:
            raise ValueError(f"{count} rows gave {len(results)} results")
        return results, time.perf_counter() - began
