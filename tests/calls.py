"""Counts calls: a measure of work that neither a busy machine nor other threads change."""

import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from types import FrameType
from typing import Any, TypeVar

import pytest
from fastapi.testclient import TestClient

from app.middleware.encoders import Encoders

T = TypeVar("T")


class CallCount:
    """How many functions, of Python and of C, are called by work that this counts."""

    def __init__(self) -> None:
        self._numbers = count()

    def _profile(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            next(self._numbers)

    def counting(self, work: Callable[[], T]) -> T:
        """``work()``, whose calls in this thread are counted."""
        sys.setprofile(self._profile)
        try:
            return work()
        finally:
            sys.setprofile(None)

    def counting_server(self, client: TestClient, request: Callable[[], T]) -> T:
        """``request()``; counts the calls in the server's event loop and the encoders' threads."""
        run, portal = Encoders.run, client.portal
        assert portal

        def counted(encoders: Encoders, work: Callable[[], Any], *arguments: Any) -> Any:
            return run(encoders, partial(self.counting, work), *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Encoders, "run", counted)
            portal.call(sys.setprofile, self._profile)
            try:
                return request()
            finally:
                portal.call(sys.setprofile, None)

    def taken(self) -> int:
        """The number of calls, once all work has ended."""
        return next(self._numbers)


def calls_of(work: Callable[[], object]) -> int:
    """How many functions, of Python and of C, ``work()`` calls."""
    calls = CallCount()
    calls.counting(work)
    return calls.taken()


def server_calls_of(client: TestClient, request: Callable[[], T]) -> tuple[int, T]:
    """How many functions the server of ``client`` calls for ``request()``, and its answer."""
    calls = CallCount()
    answer = calls.counting_server(client, request)
    return calls.taken(), answer
