"""The batcher over plain functions: an engine with a gate and counters instead of ONNX."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.batching import batcher as batcher_module
from app.batching import jobs
from app.batching.batcher import Batcher, Throughput
from app.batching.jobs import (
    Array,
    BatcherClosedError,
    BatchError,
    Claim,
    Computed,
    Counts,
    DisconnectedError,
    ExpiredError,
    QueueFullError,
    Rows,
    ShareError,
)


class Doubler:
    """Doubles numbers and records its batches; a closed gate blocks it, and -1 makes it fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, rows: Rows) -> Array:
        self.batches.append(rows["x"].tolist())
        self.entered.set()
        assert self.gate.wait(60)
        if -1 in rows["x"]:
            raise ValueError("minus one")
        return rows["x"] * 2


class Clock:
    """The time of batchers, their jobs and the event loop; it stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def set(self, now: float) -> None:
        """Set the time, and that of the running event loop, which then calls what is due."""
        self.now = now
        asyncio.get_running_loop().time = self  # type: ignore[method-assign]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (batcher_module, jobs):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock))
    return clock


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


def numbers(*values: int) -> Rows:
    return {"x": np.array(values)}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


async def computed(batcher: Batcher, rows: Rows) -> Array:
    """Return the results without their times."""
    return (await batcher.submit(rows)).results


async def blocked(doubler: Doubler, batcher: Batcher) -> "asyncio.Task[Array]":
    """Return a task whose one row is in the engine, blocked by the gate."""
    doubler.gate.clear()
    doubler.entered.clear()
    task = asyncio.create_task(computed(batcher, numbers(0)))
    await asyncio.to_thread(doubler.entered.wait, 60)
    return task


async def entered(doubler: Doubler, batcher: Batcher, rows: Rows) -> "asyncio.Task[Computed]":
    """Return a request with a deadline of 0.01 s, whose rows are in the engine, blocked."""
    doubler.gate.clear()
    task = asyncio.create_task(batcher.submit(rows, Claim(deadline=0.01)))
    await asyncio.to_thread(doubler.entered.wait, 60)
    return task


async def submitted(batcher: Batcher, *requests: Rows) -> "list[asyncio.Task[Array]]":
    """Return tasks whose rows wait in the queue, in order."""
    tasks = [asyncio.create_task(computed(batcher, rows)) for rows in requests]
    await asyncio.sleep(0)
    return tasks


def test_an_idle_engine_starts_at_once_on_one_row(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=8)
        assert (await computed(batcher, numbers(21))).tolist() == [42]
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[21]]


def test_queued_requests_are_merged_and_get_their_own_rows(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=8)
        first = await blocked(doubler, batcher)
        tasks = await submitted(batcher, numbers(1, 2), numbers(3), numbers(4, 5, 6))
        doubler.gate.set()
        results = await asyncio.gather(first, *tasks)
        assert [result.tolist() for result in results] == [[0], [2, 4], [6], [8, 10, 12]]
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[0], [1, 2, 3, 4, 5, 6]]


def test_a_large_request_is_split_and_its_last_batch_is_shared(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)
        first = await blocked(doubler, batcher)
        tasks = await submitted(batcher, numbers(*range(1, 10)), numbers(10, 11))
        doubler.gate.set()
        large, small = await asyncio.gather(*tasks)
        assert large.tolist() == [2 * k for k in range(1, 10)]
        assert small.tolist() == [20, 22]
        await first
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11]]


def test_results_come_with_the_time_in_the_queue_and_in_the_engine(
    doubler: Doubler, clock: Clock
) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=8)
        doubler.gate.clear()
        first = asyncio.create_task(batcher.submit(numbers(0)))
        await asyncio.to_thread(doubler.entered.wait, 60)
        clock.now = 2.0
        second = asyncio.create_task(batcher.submit(numbers(1)))
        await asyncio.sleep(0)
        clock.now = 5.0
        doubler.gate.set()
        in_engine, in_queue = await asyncio.gather(first, second)
        assert (in_engine.queue, in_engine.compute) == (0.0, 5.0)
        assert (in_queue.queue, in_queue.compute) == (3.0, 0.0)
        await batcher.close()

    run(scenario())


def test_the_compute_time_sums_over_all_batches_of_a_request(clock: Clock) -> None:
    def slow(rows: Rows) -> Array:
        clock.now += 2.0
        return rows["x"]

    async def scenario() -> None:
        batcher = Batcher(slow, max_batch=2, max_queue=8)
        assert (await batcher.submit(numbers(1, 2, 3, 4, 5))).compute == 3 * 2.0
        await batcher.close()

    run(scenario())


def test_a_failed_batch_fails_all_its_requests_and_no_other(
    doubler: Doubler, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)
        first = await blocked(doubler, batcher)
        tasks = await submitted(
            batcher, numbers(1, 2), numbers(3, -1, 4, 5, 6, 7), numbers(8), numbers(9)
        )
        doubler.gate.set()
        good, bad, later, last = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(good, BatchError)  # shared a batch with the culprit
        assert isinstance(bad, BatchError)
        assert str(bad) == "minus one"
        assert bad.fault in caplog.text
        assert isinstance(later, np.ndarray)
        assert isinstance(last, np.ndarray)
        assert [later.tolist(), last.tolist()] == [[16], [18]]
        await first
        await batcher.close()
        assert batcher.counts == Counts(computed=3, failed=8)

    run(scenario())
    # The remaining rows of the failed request are dropped, not computed.
    assert doubler.batches == [[0], [1, 2, 3, -1], [8, 9]]


@pytest.mark.parametrize(
    "compute", [lambda rows: rows["x"][:-1], lambda rows: np.repeat(rows["x"], 2)]
)
def test_the_wrong_number_of_results_is_a_failure(compute: Callable[[Rows], Array]) -> None:
    async def scenario() -> None:
        batcher = Batcher(compute, max_batch=4, max_queue=8)
        with pytest.raises(BatchError, match=r"2 rows gave \d results"):
            await computed(batcher, numbers(1, 2))
        await batcher.close()

    run(scenario())


def test_rows_of_a_cancelled_request_are_not_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await blocked(doubler, batcher)
        cancelled, other = await submitted(batcher, numbers(1, 2, 3, 4, 5), numbers(6))
        cancelled.cancel()
        await asyncio.sleep(0)
        doubler.gate.set()
        assert (await other).tolist() == [12]
        # The room of the dropped rows is free again.
        assert len(await computed(batcher, numbers(*range(8)))) == 8
        await first
        await batcher.close()

    run(scenario())
    assert doubler.batches[:2] == [[0], [6]]


def test_rows_cancelled_just_before_the_next_batch_are_not_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await blocked(doubler, batcher)
        cancelled, other = await submitted(batcher, numbers(1, 2), numbers(6))
        doubler.gate.set()
        time.sleep(0.05)  # noqa: ASYNC251 the batch ends while the event loop is busy
        await asyncio.sleep(0)
        cancelled.cancel()  # its task runs only after the batcher has chosen the next rows
        assert (await other).tolist() == [12]
        assert len(await computed(batcher, numbers(*range(8)))) == 8
        await first
        await batcher.close()

    run(scenario())
    assert doubler.batches[:2] == [[0], [6]]


def test_rows_whose_deadline_passes_are_not_computed(doubler: Doubler, clock: Clock) -> None:
    async def scenario() -> None:
        clock.set(0.0)
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        first = await blocked(doubler, batcher)
        soon = Claim(deadline=0.01)
        late = [asyncio.create_task(batcher.submit(numbers(*range(n)), soon)) for n in (5, 3)]
        await asyncio.sleep(0)
        clock.set(0.25)
        ended = await asyncio.gather(*late, return_exceptions=True)
        for expired, n in zip(ended, (5, 3), strict=True):
            assert isinstance(expired, ExpiredError)
            assert str(expired) == f"after 0.25 s {n} of {n} images were still in the queue"
        assert batcher.waiting == 0
        doubler.gate.set()
        await first
        await batcher.close()
        assert batcher.counts == Counts(computed=1, deadline=8)

    run(scenario())
    assert doubler.batches == [[0]]


class Watched(np.ndarray):  # type: ignore[type-arg]
    """An array that shows when it is freed."""


def test_rows_whose_deadline_passed_do_not_wait_for_the_garbage_collector(
    doubler: Doubler, clock: Clock
) -> None:
    async def scenario() -> None:
        clock.set(0.0)
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        rows = np.array([1]).view(Watched)
        freed = weakref.ref(rows)
        request = await entered(doubler, batcher, {"x": rows})
        clock.set(0.25)
        with pytest.raises(ExpiredError):
            await request
        del rows, request
        doubler.gate.set()
        await batcher.close()
        assert freed() is None

    gc.disable()
    try:
        run(scenario())
    finally:
        gc.enable()


def test_rows_do_not_stay_in_memory_once_they_are_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        rows = np.array([1]).view(Watched)
        freed = weakref.ref(rows)
        await batcher.submit({"x": rows}, Claim(deadline=time.perf_counter() + 60))
        del rows
        await asyncio.sleep(0)  # the worker waits for the next rows
        assert freed() is None
        await batcher.close()

    run(scenario())


def test_a_deadline_that_passed_before_its_timer_ran_is_respected(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        past = Claim(deadline=time.perf_counter())
        late, good = await asyncio.gather(
            batcher.submit(numbers(1), past),
            computed(batcher, numbers(2)),
            return_exceptions=True,
        )
        assert isinstance(late, ExpiredError)
        assert isinstance(good, np.ndarray)
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[2]]


def test_the_error_says_if_the_deadline_passed_in_the_engine(
    doubler: Doubler, clock: Clock
) -> None:
    async def scenario() -> None:
        clock.set(0.0)
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        request = await entered(doubler, batcher, numbers(1, 2))
        clock.set(0.25)
        with pytest.raises(ExpiredError) as expired:
            await request
        assert str(expired.value) == "after 0.25 s the last of 2 images were still being computed"
        doubler.gate.set()
        await batcher.close()
        assert batcher.counts == Counts(computed=2)

    run(scenario())


def test_rows_of_a_client_that_disconnects_are_not_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        closed = asyncio.Event()

        async def disconnected() -> None:
            await closed.wait()

        first = await blocked(doubler, batcher)
        claim = Claim(disconnected=disconnected)
        leaving = [
            asyncio.create_task(batcher.submit(rows, claim))
            for rows in (numbers(1, 2, 3), numbers(4))
        ]
        await asyncio.sleep(0)
        staying = await submitted(batcher, numbers(5))
        closed.set()
        for request in leaving:
            with pytest.raises(DisconnectedError):
                await request
        assert batcher.waiting == 1
        doubler.gate.set()
        await asyncio.gather(first, *staying)
        await batcher.close()
        assert batcher.counts == Counts(computed=2, left=4)

    run(scenario())
    assert doubler.batches == [[0], [5]]


def test_the_connection_is_not_monitored_if_nothing_waits(doubler: Doubler) -> None:
    async def never() -> None:
        raise AssertionError

    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        assert len((await batcher.submit(numbers(1, 2), Claim(disconnected=never))).results) == 2
        await batcher.close()

    run(scenario())


def test_queued_rows_of_a_large_request_are_dropped_if_its_client_disconnects(
    doubler: Doubler,
) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)

        async def disconnected() -> None:
            await asyncio.to_thread(doubler.entered.wait, 60)

        doubler.gate.clear()
        with pytest.raises(DisconnectedError):
            await batcher.submit(numbers(*range(10)), Claim(disconnected=disconnected))
        doubler.gate.set()
        await batcher.close()
        assert batcher.counts == Counts(computed=4, left=6)

    run(scenario())
    assert doubler.batches == [[0, 1, 2, 3]]


def test_a_client_gets_no_more_than_its_share_while_others_wait(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await blocked(doubler, batcher)
        many, few = Claim(client="many"), Claim(client="few")
        waiting = [asyncio.create_task(batcher.submit(numbers(k), many)) for k in range(5)]
        waiting.append(asyncio.create_task(batcher.submit(numbers(9), few)))
        await asyncio.sleep(0)
        with pytest.raises(ShareError, match="6 images are waiting") as refusal:
            await batcher.submit(numbers(1), many)
        assert refusal.value.retry_after > 0
        doubler.gate.set()
        await asyncio.gather(first, *waiting)
        assert len((await batcher.submit(numbers(1, 2), many)).results) == 2
        await batcher.close()

    run(scenario())


def test_a_light_client_is_served_before_the_queue_of_a_heavy_one(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=999)
        first = await blocked(doubler, batcher)
        heavy, light = Claim(client="heavy"), Claim(client="light")
        waiting = [asyncio.create_task(batcher.submit(numbers(*[7] * 64), heavy)) for _ in "123"]
        await asyncio.sleep(0)
        small = asyncio.create_task(batcher.submit(numbers(5), light))
        await asyncio.sleep(0)
        doubler.gate.set()
        assert (await small).results.tolist() == [10]
        for request in waiting:
            assert (await request).results.tolist() == [14] * 64
        await first
        await batcher.close()

    run(scenario())
    assert doubler.batches[1:4] == [[5], [7] * 7, [7] * 8]


def test_queued_rows_are_dropped_although_the_engine_was_idle_when_they_came(
    doubler: Doubler,
) -> None:
    """Several requests at once to an idle engine: some wait although each fits into a batch."""

    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)
        gone = asyncio.Event()

        async def disconnected() -> None:
            await gone.wait()

        doubler.gate.clear()
        staying, leaving = (
            asyncio.create_task(batcher.submit(numbers(k, k, k), Claim(k, disconnected=wait)))
            for k, wait in ((1, None), (2, disconnected))
        )
        await asyncio.to_thread(doubler.entered.wait, 60)
        gone.set()
        with pytest.raises(DisconnectedError):
            await leaving
        doubler.gate.set()
        await staying
        await batcher.close()
        assert batcher.counts.left > 0

    run(scenario())
    assert len(doubler.batches) == 2


def test_a_request_cancelled_during_its_batch_does_not_disturb_others(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await blocked(doubler, batcher)
        first.cancel()
        (second,) = await submitted(batcher, numbers(5))
        doubler.gate.set()
        assert (await second).tolist() == [10]
        await batcher.close()

    run(scenario())


def test_a_full_queue_refuses_rows_and_says_when_to_retry(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=2, max_queue=4)
        first = await blocked(doubler, batcher)
        waiting = await submitted(batcher, numbers(1, 2, 3))
        with pytest.raises(QueueFullError, match="3 images are waiting") as refusal:
            await computed(batcher, numbers(4, 5))
        assert refusal.value.retry_after > 0
        (fits,) = await submitted(batcher, numbers(4))
        doubler.gate.set()
        await asyncio.gather(first, *waiting, fits)
        # Now the throughput is known, and with it the time until there is room: microseconds.
        held = await blocked(doubler, batcher)
        full = await submitted(batcher, numbers(1, 2, 3, 4))
        with pytest.raises(QueueFullError) as refusal:
            await computed(batcher, numbers(5))
        assert refusal.value.retry_after != 1.0
        doubler.gate.set()
        await asyncio.gather(held, *full)
        await batcher.close()

    run(scenario())


def test_closing_computes_queued_rows_and_refuses_more(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=1, max_queue=8)
        first = await blocked(doubler, batcher)
        waiting = await submitted(batcher, numbers(1), numbers(2))
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(BatcherClosedError):
            await computed(batcher, numbers(3))
        doubler.gate.set()
        results = await asyncio.gather(first, *waiting)
        assert [result.tolist() for result in results] == [[0], [2], [4]]
        await closing

    run(scenario())


def test_a_batcher_closed_before_its_first_row_refuses_rows_too(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=1, max_queue=1)
        await batcher.close()
        with pytest.raises(BatcherClosedError):
            await computed(batcher, numbers(1))

    run(scenario())
    assert doubler.batches == []


def test_the_inputs_of_a_row_stay_together() -> None:
    seen: list[list[float]] = []

    def weigh(rows: Rows) -> Array:
        seen.append(rows["weight"].tolist())
        return rows["x"] * rows["weight"]

    async def scenario() -> None:
        batcher = Batcher(weigh, max_batch=3, max_queue=99)
        requests = [
            {"x": np.arange(k, dtype=np.float64), "weight": np.full(k, float(k))}
            for k in range(1, 6)
        ]
        results = await asyncio.gather(*(computed(batcher, rows) for rows in requests))
        for k, result in enumerate(results, 1):
            np.testing.assert_array_equal(result, np.arange(k) * k)
        await batcher.close()

    run(scenario())
    assert max(map(len, seen)) == 3


def test_ten_thousand_random_requests_each_get_their_own_results(doubler: Doubler) -> None:
    random = np.random.default_rng(0)

    async def client(batcher: Batcher) -> None:
        for _ in range(100):
            values = random.integers(0, 2**31, random.integers(1, 40))
            result = await computed(batcher, {"x": values})
            np.testing.assert_array_equal(result, values * 2)

    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=16, max_queue=100_000)
        await asyncio.gather(*(client(batcher) for _ in range(100)))
        await batcher.close()

    run(scenario())
    assert max(map(len, doubler.batches)) <= 16


@pytest.mark.usefixtures("clock")
def test_a_short_batch_is_computed_inline() -> None:
    """The first batch is computed on the engine's thread: the throughput is not known yet."""
    threads = []

    def compute(rows: Rows) -> Array:
        threads.append(threading.current_thread().name)
        return rows["x"]

    async def scenario() -> None:
        batcher = Batcher(compute, max_batch=8, max_queue=8, inline_seconds=0.9)
        for _ in range(3):
            await computed(batcher, numbers(1))
        await batcher.close()

    run(scenario())
    assert threads[0].startswith("engine")
    assert threads[1:] == [threading.main_thread().name] * 2


def test_checking_raises_what_submitting_would_and_changes_nothing(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        batcher.check("many", 8)
        with pytest.raises(QueueFullError, match="0 images are waiting"):
            batcher.check("many", 9)
        first = await blocked(doubler, batcher)
        many, few = Claim(client="many"), Claim(client="few")
        queued = asyncio.create_task(batcher.submit(numbers(*range(6)), many))
        await asyncio.sleep(0)
        for _ in range(2):
            batcher.check("many", 2)  # alone, although few is refused
            assert not batcher.full(2)
            with pytest.raises(QueueFullError, match="6 images are waiting"):
                batcher.check("few", 3)
            assert batcher.full(3)
        with pytest.raises(QueueFullError):
            await batcher.submit(numbers(1, 2, 3), few)
        with pytest.raises(ShareError, match="6 images are waiting") as refusal:
            batcher.check("many", 2)  # few has a share since it was refused
        assert refusal.value.retry_after == 1.0
        batcher.check("few", 2)
        doubler.gate.set()
        await asyncio.gather(first, queued)
        await batcher.close()
        with pytest.raises(BatcherClosedError):
            batcher.check("few", 1)

    run(scenario())


def test_a_client_refused_elsewhere_has_a_share_too(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await blocked(doubler, batcher)
        queued = asyncio.create_task(batcher.submit(numbers(*range(6)), Claim(client="many")))
        await asyncio.sleep(0)
        batcher.check("many", 2)
        batcher.note_refused("few")
        with pytest.raises(ShareError):
            batcher.check("many", 2)
        doubler.gate.set()
        await asyncio.gather(first, queued)
        batcher.check("many", 8)
        await batcher.close()

    run(scenario())


def test_outcomes_are_observed(doubler: Doubler) -> None:
    observed: list[tuple[str, int]] = []

    async def scenario() -> None:
        batcher = Batcher(doubler, 4, 9, lambda *outcome: observed.append(outcome))
        first = await blocked(doubler, batcher)
        cancelled, failing = await submitted(batcher, numbers(1, 2), numbers(-1))
        cancelled.cancel()
        await asyncio.sleep(0)
        doubler.gate.set()
        await first
        with pytest.raises(BatchError):
            await failing
        await batcher.close()

    run(scenario())
    assert observed == [("left", 2), ("computed", 1), ("failed", 1)]


def test_a_batcher_can_be_closed_from_another_thread(doubler: Doubler) -> None:
    async def closed(batcher: Batcher) -> None:
        while True:
            try:
                batcher.check(None, 1)
            except BatcherClosedError:
                return
            await asyncio.sleep(0)

    async def scenario() -> None:
        unused, batcher = (Batcher(doubler, max_batch=4, max_queue=9) for _ in range(2))
        await asyncio.to_thread(unused.close_soon)
        assert len(await computed(batcher, numbers(1))) == 1
        await asyncio.to_thread(batcher.close_soon)
        await closed(batcher)

    run(scenario())


def test_the_estimate_is_a_second_before_the_first_batch() -> None:
    assert Throughput().seconds(64) == 1.0


def test_the_first_batch_sets_the_throughput() -> None:
    throughput = Throughput()
    throughput.measure(10, 2.0)
    assert throughput.seconds(15) == pytest.approx(3.0)


def test_older_batches_weigh_less() -> None:
    throughput = Throughput()
    throughput.measure(10, 1.0)
    throughput.measure(20, 1.0)
    assert throughput.seconds(11) == pytest.approx(1.0)  # nine parts of 10 a second, one of 20
    for _ in range(100):
        throughput.measure(20, 1.0)
    assert throughput.seconds(20) == pytest.approx(1.0, rel=1e-3)
