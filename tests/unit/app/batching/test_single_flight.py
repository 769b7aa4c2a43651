import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.batching.jobs import ANONYMOUS, Claim, DisconnectedError, ExpiredError
from app.batching.single_flight import SingleFlight


class PersonalError(Exception):
    pass


class Computation:
    """Ends when it is told to; knows how often it was begun and how often given up."""

    def __init__(self) -> None:
        self.begun = self.given_up = 0
        self.may_end = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.failure:
            raise self.failure
        return f"result {self.begun}"


async def together(flights: SingleFlight[str], compute: Computation, *claims: Claim) -> list[Any]:
    """Joins for each claim at once; the computation ends once all of them wait."""
    joins = [asyncio.create_task(flights.join("key", compute, claim)) for claim in claims]
    await asyncio.sleep(0.01)
    compute.may_end.set()
    return await asyncio.gather(*joins, return_exceptions=True)


def running(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_who_asks_for_the_same_awaits_one_computation() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        assert await together(flights, compute, *[ANONYMOUS] * 50) == ["result 1"] * 50
        assert compute.begun == 1
        assert await flights.join("key", compute, ANONYMOUS) == "result 2"  # nothing is kept

    running(test)


def test_other_keys_have_computations_of_their_own() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        joins = [asyncio.create_task(flights.join(key, compute, ANONYMOUS)) for key in range(5)]
        await asyncio.sleep(0.01)
        compute.may_end.set()
        await asyncio.gather(*joins)
        assert compute.begun == 5

    running(test)


@pytest.mark.parametrize("leaves", [0, 1])
def test_one_who_is_cancelled_takes_nothing_from_the_others(leaves: int) -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        joins = [asyncio.create_task(flights.join("key", compute, ANONYMOUS)) for _ in range(2)]
        await asyncio.sleep(0.01)
        joins[leaves].cancel()
        await asyncio.sleep(0.01)
        compute.may_end.set()
        assert await joins[1 - leaves] == "result 1"
        assert joins[leaves].cancelled()
        assert (compute.begun, compute.given_up) == (1, 0)

    running(test)


def test_what_nobody_awaits_is_given_up_and_begun_anew_for_the_next() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        joins = [asyncio.create_task(flights.join("key", compute, ANONYMOUS)) for _ in range(3)]
        await asyncio.sleep(0.01)
        for join in joins:
            join.cancel()
        await asyncio.sleep(0.01)
        assert (compute.begun, compute.given_up) == (1, 1)
        compute.may_end.set()
        assert await flights.join("key", compute, ANONYMOUS) == "result 2"

    running(test)


def test_everybody_has_a_deadline_and_a_client_of_their_own() -> None:
    async def gone() -> None:
        await asyncio.sleep(0)

    async def stays() -> None:
        await asyncio.Event().wait()

    async def test() -> None:
        flights, compute = SingleFlight[str](), Computation()
        soon = time.perf_counter() + 0.005
        claims = [
            Claim("a", soon),
            Claim("b", disconnected=gone),
            Claim("c", soon + 60, stays),
            ANONYMOUS,
        ]
        late, left, *others = await together(flights, compute, *claims)
        assert isinstance(late, ExpiredError)
        assert "still being drawn" in str(late)
        assert isinstance(left, DisconnectedError)
        assert others == ["result 1"] * 2
        assert compute.begun == 1

    running(test)


def test_a_failure_is_everybodys_and_not_remembered() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](PersonalError), Computation()
        compute.failure = ValueError("no luck")
        found = await together(flights, compute, Claim("a"), Claim("b"), Claim("b"))
        assert [type(error) for error in found] == [ValueError] * 3
        assert compute.begun == 1
        compute.failure = None
        assert await flights.join("key", compute, ANONYMOUS) == "result 2"

    running(test)


def test_what_stands_against_one_client_is_not_held_against_another() -> None:
    async def test() -> None:
        flights, compute = SingleFlight[str](PersonalError), Computation()

        async def refused_once() -> str:
            result = await compute()
            if compute.begun == 1:
                raise PersonalError
            return result

        claims = (Claim("a"), Claim("a"), Claim("b"), Claim("c"))
        joins = [asyncio.create_task(flights.join("key", refused_once, one)) for one in claims]
        await asyncio.sleep(0.01)
        compute.may_end.set()
        *refused, b, c = await asyncio.gather(*joins, return_exceptions=True)
        assert [type(error) for error in refused] == [PersonalError] * 2
        assert (b, c) == ("result 2", "result 2")
        assert compute.begun == 2

    running(test)


def test_a_failure_that_nobody_awaits_any_more_is_no_complaint(
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

    running(test)
    assert caplog.records == []
