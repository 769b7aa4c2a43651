"""A budget of memory for work on threads."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from app.batching.jobs import Claim
from app.errors import DeadlineError, OverloadedError
from app.middleware import encoders
from app.middleware.encoders import SMALL_BYTES, Encoders
from tests.waiting import PATIENCE

MIB = 2**20


class Work:
    """Work that ends once a test allows it, and the most that ran at the same time."""

    def __init__(self) -> None:
        self.may_end, self.running, self.most = threading.Event(), 0, 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.may_end.wait(PATIENCE)
        with self._lock:
            self.running -= 1
        return 7


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 # threads change it
            await asyncio.sleep(0.001)


def test_large_work_waits_until_it_fits_into_the_budget() -> None:
    async def run() -> None:
        pool, work = Encoders(8, 10 * MIB), Work()
        tasks = [asyncio.create_task(pool.run(work, 4 * MIB)) for _ in range(5)]
        await until(lambda: work.running == 2)
        assert pool.waiting == 12 * MIB
        work.may_end.set()
        assert await asyncio.gather(*tasks) == [7] * 5
        assert (work.most, pool.waiting) == (2, 0)
        pool.close()

    asyncio.run(run())


def test_small_work_never_waits_and_what_exceeds_the_budget_runs_alone() -> None:
    async def run() -> None:
        pool, large, small = Encoders(8, 2 * MIB), Work(), Work()
        small.may_end.set()
        tasks = [asyncio.create_task(pool.run(large, 50 * MIB)) for _ in range(2)]
        await until(lambda: large.running == 1)
        assert await pool.run(small, SMALL_BYTES) == 7
        large.may_end.set()
        await asyncio.gather(*tasks)
        assert large.most == 1
        pool.close()

    asyncio.run(run())


def test_a_request_that_is_cancelled_gives_its_place_to_the_next() -> None:
    async def run() -> None:
        pool, work = Encoders(8, 10 * MIB), Work()
        first, second, third = (asyncio.create_task(pool.run(work, 8 * MIB)) for _ in range(3))
        await until(lambda: work.running == 1 and pool.waiting == 16 * MIB)
        second.cancel()
        first.cancel()  # its thread goes on, and with it the memory
        await until(lambda: pool.waiting == 8 * MIB)
        assert work.most == 1
        work.may_end.set()
        assert await third == 7
        assert work.most == 1
        pool.close()

    asyncio.run(run())


def test_clients_take_turns() -> None:
    async def run() -> None:
        pool, work, order = Encoders(8, 2 * MIB), Work(), []

        async def one(client: str) -> None:
            await pool.run(work, 8 * MIB, Claim(client))
            order.append(client)

        tasks = [asyncio.create_task(one(client)) for client in ["many"] * 5 + ["few", "one"]]
        await until(lambda: pool.waiting == 6 * 8 * MIB)
        work.may_end.set()
        await asyncio.gather(*tasks)
        assert order == ["many", "many", "few", "one", "many", "many", "many"]
        pool.close()

    asyncio.run(run())


def test_work_that_still_waits_at_its_deadline_ends() -> None:
    async def run() -> None:
        pool, work = Encoders(8, 2 * MIB), Work()
        task = asyncio.create_task(pool.run(work, 8 * MIB))
        await until(lambda: work.running == 1)
        with pytest.raises(DeadlineError, match="images were waiting to be encoded"):
            await pool.run(work, 8 * MIB, Claim("a", time.perf_counter() + 0.01))
        assert pool.waiting == 0
        work.may_end.set()
        assert await task == 7
        assert await pool.run(work, 8 * MIB) == 7
        pool.close()

    asyncio.run(run())


def test_what_would_wait_for_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "LONGEST_WAIT", 0.001)

    async def run() -> None:
        pool, work = Encoders(1, 2 * MIB), Work()
        tasks = [asyncio.create_task(pool.run(work, 50 * MIB)) for _ in range(2)]
        await until(lambda: pool.waiting > 0)
        with pytest.raises(OverloadedError, match="50 MiB of images are waiting") as refused:
            await pool.run(work, 50 * MIB)
        assert int(refused.value.headers["Retry-After"]) >= 1
        work.may_end.set()
        await asyncio.gather(*tasks)
        pool.close()

    asyncio.run(run())


def test_an_error_of_the_work_is_raised() -> None:
    async def run() -> None:
        pool = Encoders(1, MIB)
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0, 5 * MIB)
        assert await pool.run(lambda: 3, 5 * MIB) == 3
        pool.close()

    asyncio.run(run())


def test_work_that_is_cancelled_right_at_its_turn_gives_its_memory_back() -> None:
    async def run() -> None:
        pool, work = Encoders(8, 2 * MIB), Work()
        first = asyncio.create_task(pool.run(work, 8 * MIB))
        await until(lambda: work.running == 1)
        second = asyncio.create_task(pool.run(work, 8 * MIB))
        await until(lambda: pool.waiting == 8 * MIB)
        loop = asyncio.get_running_loop()

        def cancel_at_turn() -> None:  # looks in each turn of the loop, so before the task goes on
            if pool.waiting:
                loop.call_soon(cancel_at_turn)
            else:
                second.cancel()

        cancel_at_turn()
        work.may_end.set()
        assert await first == 7
        with pytest.raises(asyncio.CancelledError):
            await second
        async with asyncio.timeout(PATIENCE):
            assert await pool.run(work, 8 * MIB) == 7
        pool.close()

    asyncio.run(run())
