"""The batcher over plain functions: an engine of gates and counters in place of ONNX."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from app.batching.batcher import Batcher
from app.batching.jobs import (
    Array,
    BatcherClosedError,
    BatchError,
    Claim,
    Counts,
    DisconnectedError,
    ExpiredError,
    QueueFullError,
    Rows,
    ShareError,
)


class Doubler:
    """Doubles numbers, notes the batches it saw, and can be held up or made to fail."""

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


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


def numbers(*values: int) -> Rows:
    return {"x": np.array(values)}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


async def computed(batcher: Batcher, rows: Rows) -> Array:
    """The results, whatever time they took."""
    return (await batcher.submit(rows)).results


async def holding(doubler: Doubler, batcher: Batcher) -> "asyncio.Task[Array]":
    """A task whose one row is in the engine, which is held up."""
    doubler.gate.clear()
    doubler.entered.clear()
    task = asyncio.create_task(computed(batcher, numbers(0)))
    await asyncio.to_thread(doubler.entered.wait, 60)
    return task


async def submitted(batcher: Batcher, *requests: Rows) -> "list[asyncio.Task[Array]]":
    """Tasks whose rows wait in the queue, in order."""
    tasks = [asyncio.create_task(computed(batcher, rows)) for rows in requests]
    await asyncio.sleep(0)
    return tasks


def test_an_idle_engine_starts_on_one_row_at_once(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=8)
        assert (await computed(batcher, numbers(21))).tolist() == [42]
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[21]]


def test_requests_that_wait_are_merged_and_get_their_own_rows(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=8)
        first = await holding(doubler, batcher)
        tasks = await submitted(batcher, numbers(1, 2), numbers(3), numbers(4, 5, 6))
        doubler.gate.set()
        results = await asyncio.gather(first, *tasks)
        assert [result.tolist() for result in results] == [[0], [2, 4], [6], [8, 10, 12]]
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[0], [1, 2, 3, 4, 5, 6]]


def test_a_large_request_is_split_and_shares_its_last_batch(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)
        first = await holding(doubler, batcher)
        tasks = await submitted(batcher, numbers(*range(1, 10)), numbers(10, 11))
        doubler.gate.set()
        large, small = await asyncio.gather(*tasks)
        assert large.tolist() == [2 * k for k in range(1, 10)]
        assert small.tolist() == [20, 22]
        await first
        await batcher.close()

    run(scenario())
    assert doubler.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11]]


def test_a_request_is_told_how_long_it_waited_and_was_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=8, max_queue=8)
        held = time.perf_counter()
        doubler.gate.clear()
        first = asyncio.create_task(batcher.submit(numbers(0)))
        await asyncio.to_thread(doubler.entered.wait, 60)
        entered = time.perf_counter()
        second = asyncio.create_task(batcher.submit(numbers(1)))
        await asyncio.sleep(0)
        submitted = time.perf_counter()
        await asyncio.sleep(0.02)
        released = time.perf_counter()
        doubler.gate.set()
        in_engine, in_queue = await asyncio.gather(first, second)
        ended = time.perf_counter()
        assert in_engine.compute >= released - entered
        assert in_queue.queue >= released - submitted
        for told in (in_engine, in_queue):
            assert min(told.queue, told.compute) > 0
            assert told.queue + told.compute <= ended - held
        await batcher.close()

    run(scenario())


def test_all_batches_of_a_request_count() -> None:
    def slow(rows: Rows) -> Array:
        time.sleep(0.01)
        return rows["x"]

    async def scenario() -> None:
        batcher = Batcher(slow, max_batch=2, max_queue=8)
        assert (await batcher.submit(numbers(1, 2, 3, 4, 5))).compute >= 3 * 0.01
        await batcher.close()

    run(scenario())


def test_a_failed_batch_fails_all_its_requests_and_no_other(
    doubler: Doubler, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)
        first = await holding(doubler, batcher)
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
    # What was left of the failed request is dropped, not computed.
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


def test_rows_that_nobody_awaits_are_not_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await holding(doubler, batcher)
        gone, stays = await submitted(batcher, numbers(1, 2, 3, 4, 5), numbers(6))
        gone.cancel()
        await asyncio.sleep(0)
        doubler.gate.set()
        assert (await stays).tolist() == [12]
        # The room of the dropped rows is free again.
        assert len(await computed(batcher, numbers(*range(8)))) == 8
        await first
        await batcher.close()

    run(scenario())
    assert doubler.batches[:2] == [[0], [6]]


def test_rows_whose_deadline_passes_are_not_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        first = await holding(doubler, batcher)
        until = time.perf_counter() + 0.02
        late = [
            asyncio.create_task(batcher.submit(numbers(*range(1, n)), Claim(deadline=until)))
            for n in (6, 4)
        ]
        ended = await asyncio.gather(*late, return_exceptions=True)
        for expired, n in zip(ended, (5, 3), strict=True):
            assert isinstance(expired, ExpiredError)
            assert re.match(rf"after 0\.\d\d s {n} of {n} images were still in", str(expired))
        assert batcher.waiting == 0
        doubler.gate.set()
        await first
        await batcher.close()
        assert batcher.counts == Counts(computed=1, deadline=8)

    run(scenario())
    assert doubler.batches == [[0]]


def test_a_deadline_that_passed_before_its_timer_could_tell_holds_too(doubler: Doubler) -> None:
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


def test_a_deadline_that_passes_in_the_engine_says_so(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=9)
        doubler.gate.clear()
        with pytest.raises(ExpiredError, match="the last of 2 images were still being computed"):
            await batcher.submit(numbers(1, 2), Claim(deadline=time.perf_counter() + 0.02))
        doubler.gate.set()
        await batcher.close()
        assert batcher.counts == Counts(computed=2)

    run(scenario())


def test_rows_of_a_client_that_leaves_are_not_computed(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        left = asyncio.Event()

        async def gone() -> None:
            await left.wait()

        first = await holding(doubler, batcher)
        leaving = asyncio.create_task(batcher.submit(numbers(1, 2, 3), Claim(disconnected=gone)))
        staying = asyncio.create_task(batcher.submit(numbers(4), Claim(disconnected=gone)))
        await asyncio.sleep(0)
        staying_too = await submitted(batcher, numbers(5))
        left.set()
        with pytest.raises(DisconnectedError):
            await leaving
        with pytest.raises(DisconnectedError):
            await staying
        assert batcher.waiting == 1
        doubler.gate.set()
        await asyncio.gather(first, *staying_too)
        await batcher.close()
        assert batcher.counts == Counts(computed=2, left=4)

    run(scenario())
    assert doubler.batches == [[0], [5]]


def test_nobody_is_watched_where_nothing_waits(doubler: Doubler) -> None:
    async def unasked() -> None:
        raise AssertionError

    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        assert len((await batcher.submit(numbers(1, 2), Claim(disconnected=unasked))).results) == 2
        await batcher.close()

    run(scenario())


def test_what_is_left_of_a_large_request_is_dropped_when_its_client_leaves(
    doubler: Doubler,
) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=99)

        async def gone() -> None:
            await asyncio.to_thread(doubler.entered.wait, 60)

        doubler.gate.clear()
        with pytest.raises(DisconnectedError):
            await batcher.submit(numbers(*range(10)), Claim(disconnected=gone))
        doubler.gate.set()
        await batcher.close()
        assert batcher.counts == Counts(computed=4, left=6)

    run(scenario())
    assert doubler.batches == [[0, 1, 2, 3]]


def test_one_client_has_no_more_than_its_share_while_others_wait(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await holding(doubler, batcher)
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


def test_a_client_that_leaves_during_its_batch_harms_nobody(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=4, max_queue=8)
        first = await holding(doubler, batcher)
        first.cancel()
        (second,) = await submitted(batcher, numbers(5))
        doubler.gate.set()
        assert (await second).tolist() == [10]
        await batcher.close()

    run(scenario())


def test_past_its_bound_the_queue_refuses_and_says_when_to_come_back(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=2, max_queue=4)
        first = await holding(doubler, batcher)
        waiting = await submitted(batcher, numbers(1, 2, 3))
        with pytest.raises(QueueFullError, match="3 images are waiting") as refusal:
            await computed(batcher, numbers(4, 5))
        assert refusal.value.retry_after > 0
        (fits,) = await submitted(batcher, numbers(4))
        doubler.gate.set()
        await asyncio.gather(first, *waiting, fits)
        # Now that a speed is known, the time is measured by it: room is microseconds away.
        held = await holding(doubler, batcher)
        full = await submitted(batcher, numbers(1, 2, 3, 4))
        with pytest.raises(QueueFullError) as refusal:
            await computed(batcher, numbers(5))
        assert refusal.value.retry_after != 1.0
        doubler.gate.set()
        await asyncio.gather(held, *full)
        await batcher.close()

    run(scenario())


def test_closing_finishes_what_waits_and_takes_no_more(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=1, max_queue=8)
        first = await holding(doubler, batcher)
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


def test_closing_before_the_first_row_takes_none_either(doubler: Doubler) -> None:
    async def scenario() -> None:
        batcher = Batcher(doubler, max_batch=1, max_queue=1)
        await batcher.close()
        with pytest.raises(BatcherClosedError):
            await computed(batcher, numbers(1))

    run(scenario())
    assert doubler.batches == []


def test_rows_of_several_inputs_stay_together() -> None:
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


def test_ten_thousand_random_requests_each_get_their_own(doubler: Doubler) -> None:
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


def test_what_is_soon_computed_wakes_no_thread() -> None:
    """Once the pace is known; the first batch is computed on the engine's thread."""
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
