"""A micro-batcher over any callable. Knows no ONNX and no HTTP.

It queues images, not requests: small requests are merged and large ones split. It waits for
nobody: while the engine computes one batch the next one gathers, and an idle engine starts on
whatever is there. Rows whose deadline passes, or whose client leaves, while they wait are never
computed.
"""

import asyncio
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import accumulate

import numpy as np

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
from app.batching.throughput import Throughput

Compute = Callable[[Rows], Array]

logger = logging.getLogger(__name__)


class Batcher:
    """Runs ``compute`` on merged rows, one batch at a time, on a thread of its own."""

    def __init__(
        self,
        compute: Compute,
        max_batch: int,
        max_queue: int,
        watch: OutcomeObserver = ignore_outcomes,
        inline_seconds: float = 0.0,
    ) -> None:
        """``compute`` gives one result for every row, along the first axis.

        For up to ``inline_seconds`` seconds it may hold up the event loop.
        """
        self._watch, self._inline_seconds = watch, inline_seconds
        self._compute, self._max_batch = compute, max_batch
        self._queue: deque[Job] = deque()
        self._shares = FairShare(max_queue)
        self._arrived = asyncio.Event()
        self._closing = False
        self._batches = 0
        self._throughput = Throughput()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._worker: asyncio.Task[None] | None = None
        self.counts = Counts()
        self.running = 0
        """The number of the batch that is being computed, from 1 on; 0 while there is none."""

    @property
    def waiting(self) -> int:
        """How many images wait for their turn."""
        return self._shares.waiting

    def full(self, client: Hashable, count: int) -> bool:
        """Whether there is no room for ``count`` rows of ``client``."""
        return bool(self._shares.surplus(client, count))

    async def submit(self, rows: Rows, claim: Claim = ANONYMOUS) -> Computed:
        """One result a row, in order. Every row's array has the same length, at least one.

        Raises QueueFullError, ShareError or BatcherClosedError immediately, ExpiredError at the
        deadline, DisconnectedError if the client disconnects, BatchError if ``compute`` fails.
        """
        began = time.perf_counter()
        count = len(next(iter(rows.values())))
        self._admit(claim.client, count)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        loop = asyncio.get_running_loop()
        job = Job(rows, count, claim, loop.create_future(), began)
        self._queue.append(job)
        self._shares.take(claim.client, count)
        self._arrived.set()
        with self._watched(job):
            results = await job.settled
        return Computed(results, time.perf_counter() - began - job.seconds, job.seconds)

    def _admit(self, client: Hashable, count: int) -> None:
        """Raise what stands against ``count`` more rows of ``client``."""
        if self._closing:
            raise BatcherClosedError
        if excess := self._shares.excess(client, count):
            raise ShareError(self.waiting, self._throughput.seconds(excess))
        if surplus := self._shares.surplus(client, count):
            raise QueueFullError(self.waiting, self._throughput.seconds(surplus))

    @contextmanager
    def _watched(self, job: Job) -> Iterator[None]:
        """Meanwhile the job ends where its deadline passes or its client leaves."""
        loop, claim = asyncio.get_running_loop(), job.claim
        watches: list[asyncio.TimerHandle | asyncio.Future[None]] = []
        if claim.deadline < math.inf:
            watches.append(loop.call_later(claim.deadline - job.began, self._expire, job))
        if claim.disconnected and (self.running or job.count > self._max_batch):
            gone = asyncio.ensure_future(claim.disconnected())
            gone.add_done_callback(partial(self._leave, job))
            watches.append(gone)
        try:
            yield
        except asyncio.CancelledError:
            self._drop(job, "left")
            raise
        finally:
            for watch in watches:
                watch.cancel()

    def _expire(self, job: Job) -> None:
        job.fail(ExpiredError(job.state))
        self._drop(job, "deadline")

    def _leave(self, job: Job, gone: asyncio.Future[None]) -> None:
        if gone.cancelled():
            return
        job.fail(DisconnectedError())
        self._drop(job, "left")

    def _drop(self, job: Job, reason: Outcome) -> None:
        """What is left of ``job`` waits no more."""
        if dropped := job.left:
            self._queue.remove(job)
            self._shares.free(job.claim.client, dropped)
            job.taken = job.count
            self._count(reason, dropped)

    def _count(self, outcome: Outcome, images: int) -> None:
        setattr(self.counts, outcome, getattr(self.counts, outcome) + images)
        self._watch(outcome, images)

    def close_soon(self) -> None:
        """Close it, from any thread, once nobody can submit to it any more."""
        if self._worker is not None and not (loop := self._worker.get_loop()).is_closed():
            asyncio.run_coroutine_threadsafe(self.close(), loop)

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

    def _gather(self) -> list[tuple[Job, Rows]]:
        """The next batch, from as many jobs as it holds."""
        batch: list[tuple[Job, Rows]] = []
        room = self._max_batch
        while self._queue and room:
            job = self._queue[0]
            if job.settled.done():  # its task was cancelled, and has not run since
                self._drop(job, "left")
                continue
            if job.expired:  # before its timer
                self._expire(job)
                continue
            left = job.left
            batch.append((job, job.take(room)))
            taken = left - job.left
            room -= taken
            self._shares.free(job.claim.client, taken)
            if not job.left:
                self._queue.popleft()
        return batch

    async def _run(self, batch: list[tuple[Job, Rows]]) -> None:
        """Compute one batch and settle its jobs: all with results, or all with the failure."""
        parts = [rows for _, rows in batch]
        lengths = [len(next(iter(rows.values()))) for rows in parts]
        count = sum(lengths)
        self._batches += 1
        self.running = self._batches
        try:
            results, seconds = await self._computed(_merged(parts), count)
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
            job.give(results[end - length : end], seconds)

    def _fail(self, batch: list[tuple[Job, Rows]], count: int, error: BatchError) -> None:
        self._count("failed", count)
        for job, _ in batch:
            job.fail(error)
            self._drop(job, "failed")

    async def _computed(self, rows: Rows, count: int) -> tuple[Array, float]:
        """On the thread, unless the batch should be done by the time that one wakes and tells."""
        if not self._queue and self._throughput.seconds(count) < self._inline_seconds:
            return self._timed(rows, count)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._timed, rows, count)

    def _timed(self, rows: Rows, count: int) -> tuple[Array, float]:
        """The results of ``count`` rows, and the seconds that they took."""
        began = time.perf_counter()
        results = self._compute(rows)
        if len(results) != count:
            raise ValueError(f"{count} rows gave {len(results)} results")
        return results, time.perf_counter() - began


def _merged(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([rows[name] for rows in parts]) for name in parts[0]}
