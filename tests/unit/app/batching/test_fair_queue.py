"""Whose rows the next batch takes."""

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Hashable, Iterator
from weakref import WeakSet

import numpy as np
import pytest

from app.batching.fair_queue import FairQueue
from app.batching.jobs import Array, Claim, Job
from tests.calls import calls_of

MAX_BATCH = 16  # so that a quantum has 4 rows


@pytest.fixture
def results() -> Iterator["asyncio.Future[Array]"]:
    """A future, which jobs need; the queue does not touch it."""
    loop = asyncio.new_event_loop()
    yield loop.create_future()
    loop.close()


class Queue:
    """A FairQueue, with jobs by client and number of rows."""

    def __init__(
        self, future: "asyncio.Future[Array]", max_batch: int = MAX_BATCH, job: type[Job] = Job
    ) -> None:
        self.queue, self._future, self._job = FairQueue(max_batch), future, job

    def add(self, client: Hashable, *counts: int) -> list[Job]:
        """Add one job with each number of rows."""
        jobs = [
            self._job({"x": np.arange(count)}, count, Claim(client), self._future, 0.0, count)
            for count in counts
        ]
        for job in jobs:
            self.queue.add(job)
        return jobs

    def take(self) -> dict[Hashable, int]:
        """Take one batch; returns the number of rows by client."""
        rows: Counter[Hashable] = Counter()
        for job, first in self.queue.take(lambda _: True).items():
            rows[job.claim.client] += len(job.rows_from(first)["x"])
        return dict(rows)


def test_a_client_alone_fills_whole_batches(results: "asyncio.Future[Array]") -> None:
    queue = Queue(results)
    queue.add("one", 10, 1, 30)
    batches = []
    while queue.queue:
        batches.append(queue.take())
    assert batches == [{"one": 16}, {"one": 16}, {"one": 9}]
    assert queue.take() == {}


def test_light_clients_share_a_batch(results: "asyncio.Future[Array]") -> None:
    queue = Queue(results)
    for client in range(5):
        queue.add(client, 1, 2)
    assert queue.take() == dict.fromkeys(range(5), 3)


def test_heavy_clients_take_turns_of_a_quantum(results: "asyncio.Future[Array]") -> None:
    queue = Queue(results)
    for client in "abc":
        queue.add(client, *[7] * 9)
    assert queue.take() == {"a": 8, "b": 4, "c": 4}
    assert queue.take() == {"b": 8, "c": 4, "a": 4}
    assert queue.take() == {"c": 8, "a": 4, "b": 4}


def test_a_turn_that_a_batch_interrupts_continues(results: "asyncio.Future[Array]") -> None:
    queue = Queue(results, max_batch=6)  # the quantum is 1
    queue.add("a", 60)
    queue.add("b", 60)
    whole: Counter[Hashable] = Counter()
    for _ in range(4):
        whole.update(queue.take())
    assert whole == {"a": 12, "b": 12}
    queue = Queue(results, max_batch=10)  # the quantum is 2
    for client in "abc":
        queue.add(client, 60)
    queue.add("light", 1)
    assert queue.take() == {"light": 1}
    assert queue.take() == {"a": 4, "b": 3, "c": 2}  # one row less, and the turn of b is cut
    assert queue.take() == {"b": 3, "c": 4, "a": 3}


def test_a_light_client_does_not_wait_for_a_batch_to_fill(
    results: "asyncio.Future[Array]",
) -> None:
    queue = Queue(results)
    queue.add("heavy", *[256] * 9)
    assert queue.take() == {"heavy": 16}
    queue.add("light", 1)
    assert queue.take() == {"light": 1}
    queue.add("light", 2)
    # Both batches together take as many rows as a full one.
    assert queue.take() == {"heavy": 13, "light": 2}


def test_a_client_with_more_than_a_quantum_takes_turns(
    results: "asyncio.Future[Array]",
) -> None:
    queue = Queue(results)
    queue.add("other", 100)
    queue.add("growing", 4)
    queue.add("growing", 1)
    assert queue.take() == {"other": 11, "growing": 5}


def test_heavy_clients_get_the_rows_that_ever_new_light_clients_leave(
    results: "asyncio.Future[Array]",
) -> None:
    queue = Queue(results)
    queue.add("heavy", *[256] * 9)
    rows: Counter[str] = Counter()
    for batch in range(40):
        for k in range(5):
            queue.add((batch, k), 1)
        for client, taken in queue.take().items():
            rows["heavy" if client == "heavy" else "light"] += taken
    assert rows["light"] >= 5 * 38
    assert rows["heavy"] >= 40 // 2 * MAX_BATCH - rows["light"]


@pytest.mark.parametrize("max_batch", [1, 2, 3, 64])
@pytest.mark.parametrize("seed", range(5))
def test_a_light_client_is_delayed_by_at_most_one_full_batch(
    seed: int, max_batch: int, results: "asyncio.Future[Array]"
) -> None:
    """Beside ten heavy clients; the rows count that are computed from its arrival on."""
    draw, queue = random.Random(seed), Queue(results, max_batch)  # noqa: S311
    for _ in range(100):
        for client in range(10):
            queue.add(client, draw.randint(1, 256))
        for _ in range(draw.randrange(3)):
            queue.take()
        running = sum(queue.take().values())  # the light client arrives while this is computed
        queue.add("light", 1)
        rows = running
        while "light" not in (taken := queue.take()):
            rows += sum(taken.values())
        assert rows <= max(2, max_batch)
        assert sum(taken.values()) <= max_batch


def test_every_row_is_taken_once_and_in_order(results: "asyncio.Future[Array]") -> None:
    draw, queue = random.Random(0), Queue(results)  # noqa: S311
    added: dict[Hashable, list[Job]] = {client: [] for client in range(8)}
    seen: dict[Job, list[int]] = {}
    removed: set[Job] = set()
    for _ in range(3000):
        client = draw.randrange(8)
        added[client] += queue.add(client, draw.choice([1, 2, 3, 50]))
        waiting = [job for job in added[client] if job.queued]
        if draw.random() < 0.1:
            removed.add(job := draw.choice(waiting))
            queue.queue.remove(job)
        if draw.random() < 0.6 or not queue.queue:
            continue
        batch = queue.queue.take(lambda _: True)
        assert 0 < sum(job.taken - first for job, first in batch.items()) <= MAX_BATCH
        for job, first in batch.items():
            assert job not in removed
            seen.setdefault(job, []).extend(job.rows_from(first)["x"])
    while queue.queue:
        for job, first in queue.queue.take(lambda _: True).items():
            seen.setdefault(job, []).extend(job.rows_from(first)["x"])
    for jobs in added.values():
        order = [job for job in seen if job in set(jobs)]
        assert order == [job for job in jobs if job in seen]  # first in, first out by client
        for job in set(jobs) - removed:
            assert seen[job] == list(range(job.count))
    assert len(queue.queue) == 0


def test_rows_that_are_not_wanted_are_not_taken(results: "asyncio.Future[Array]") -> None:
    queue = Queue(results)
    (gone,), (kept,), (large,) = queue.add("a", 2), queue.add("b", 2), queue.add("c", 20)
    checked: list[Job] = []

    def is_wanted(job: Job) -> bool:
        checked.append(job)
        if job is gone:
            queue.queue.remove(job)
        return job is not gone

    assert queue.queue.take(is_wanted) == {kept: 0}
    assert queue.queue.take(is_wanted) == {large: 0}
    assert checked == [gone, kept, large]


class Client:
    """A client that shows when nothing refers to it any more."""


def test_clients_leave_nothing_behind(results: "asyncio.Future[Array]") -> None:
    queue, clients = Queue(results), WeakSet[Client]()
    queue.add("heavy", 10**5)
    queue.take()
    gc.disable()
    try:
        for k in range(1000):
            (job,) = queue.add(client := Client(), 1)
            clients.add(client)
            if k % 3:
                queue.queue.remove(job)
            else:
                while job.queued:
                    queue.take()
        del job, client
        assert len(queue.queue) == 1
        assert not clients
    finally:
        gc.enable()


class ComparedJob(Job):
    """A job that calls a function of Python when it is compared, so that a search is counted."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def test_removing_takes_the_same_work_however_long_the_queue_is(
    results: "asyncio.Future[Array]",
) -> None:
    def calls(count: int) -> int:
        queue = Queue(results, job=ComparedJob)
        jobs = queue.add("one", *[1] * count)

        def remove() -> None:
            for job in reversed(jobs):
                queue.queue.remove(job)

        return calls_of(remove)

    assert calls(1000) < 11 * calls(100)
