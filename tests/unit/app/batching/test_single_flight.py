import asyncio
import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.batching.jobs import ANONYMOUS, Claim, DisconnectedError, ExpiredError
from app.batching.single_flight import SingleFlight


class ClientError(Exception):
    pass


class Computation:
    """Ends when ``may_end`` is set; counts how often it was started and cancelled."""

    def __init__(self) -> None:
        self.started = self.cancelled = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> str:
        self.started += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure:
            raise self.failure
        return f"result {self.started}"


async def together(flights: SingleFlight[str], compute: Computation, *claims: Claim) -> list[Any]:
    """Join once per claim, concurrently; end the computation when all of them wait."""
    joins = [asyncio.create_task(flights.join("key", compute, claim)) for claim in claims]
    await asyncio.sleep(0.01)
    compute.may_end.set()
    return await asyncio.gather(*joins, return_exceptions=True)


def running(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_concurrent_requests_for_one_key_share_one_computation() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        assert await together(flights, compute, *[ANONYMOUS] * 50) == ["result 1"] * 50
        assert compute.started == 1
        assert await flights.join("key", compute, ANONYMOUS) == "result 2"  # results are not cached

    running(test)


def test_every_key_has_its_own_computation() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        joins = [asyncio.create_task(flights.join(key, compute, ANONYMOUS)) for key in range(5)]
        await asyncio.sleep(0.01)
        compute.may_end.set()
        await asyncio.gather(*joins)
        assert compute.started == 5

    running(test)


@pytest.mark.parametrize("cancelled", [0, 1])
def test_a_cancelled_request_does_not_disturb_the_others(cancelled: int) -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        joins = [asyncio.create_task(flights.join("key", compute, ANONYMOUS)) for _ in range(2)]
        await asyncio.sleep(0.01)
        joins[cancelled].cancel()
        await asyncio.sleep(0.01)
        compute.may_end.set()
        assert await joins[1 - cancelled] == "result 1"
        assert joins[cancelled].cancelled()
        assert (compute.started, compute.cancelled) == (1, 0)

    running(test)


def test_a_computation_without_waiters_is_cancelled_and_the_next_request_starts_another() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        joins = [asyncio.create_task(flights.join("key", compute, ANONYMOUS)) for _ in range(3)]
        await asyncio.sleep(0.01)
        for join in joins:
            join.cancel()
        await asyncio.sleep(0.01)
        assert (compute.started, compute.cancelled) == (1, 1)
        compute.may_end.set()
        assert await flights.join("key", compute, ANONYMOUS) == "result 2"

    running(test)


def test_every_request_has_its_own_deadline_and_connection() -> None:
    async def disconnects() -> None:
        await asyncio.sleep(0)

    async def stays() -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        soon = time.perf_counter() + 0.005
        claims = [
            Claim("a", soon),
            Claim("b", disconnected=disconnects),
            Claim("c", soon + 60, stays),
            ANONYMOUS,
        ]
        late, left, *others = await together(flights, compute, *claims)
        assert isinstance(late, ExpiredError)
        assert "still being computed" in str(late)
        assert isinstance(left, DisconnectedError)
        assert others == ["result 1"] * 2
        assert compute.started == 1

    running(test)


def test_a_failure_is_raised_for_every_request_and_not_cached() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](ClientError), Computation()
        compute.failure = ValueError("no luck")
        found = await together(flights, compute, Claim("a"), Claim("b"), Claim("b"))
        assert [type(error) for error in found] == [ValueError] * 3
        assert compute.started == 1
        compute.failure = None
        assert await flights.join("key", compute, ANONYMOUS) == "result 2"

    running(test)


def test_a_client_error_is_raised_for_that_client_only() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](ClientError), Computation()

        async def refused_once() -> str:
            result = await compute()
            if compute.started == 1:
                raise ClientError
            return result

        claims = (Claim("a"), Claim("a"), Claim("b"), Claim("c"))
        joins = [asyncio.create_task(flights.join("key", refused_once, one)) for one in claims]
        await asyncio.sleep(0.01)
        compute.may_end.set()
        *refused, b, c = await asyncio.gather(*joins, return_exceptions=True)
        assert [type(error) for error in refused] == [ClientError] * 2
        assert (b, c) == ("result 2", "result 2")
        assert compute.started == 2

    running(test)


def test_a_failure_without_waiters_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        compute.failure = ValueError("no luck")
        join = asyncio.create_task(flights.join("key", compute, ANONYMOUS))
        await asyncio.sleep(0.01)
        compute.may_end.set()
        join.cancel()
        await asyncio.sleep(0.01)
        assert join.cancelled()
        assert (compute.started, compute.cancelled) == (1, 0)  # so that it has failed

    running(test)
    gc.collect()  # asyncio logs a failure that nobody has seen when its task is deleted
    assert "no luck" not in caplog.text  # other tests may leave tasks, too
