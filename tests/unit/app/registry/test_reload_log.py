"""Orders that several processes share."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.registry.reload_log import Order, Orders


@pytest.fixture(params=["alone", "shared"])
def orders(request: pytest.FixtureRequest, tmp_path: Path) -> Orders:
    return Orders(tmp_path if request.param == "shared" else None)


def test_orders_are_obeyed_in_their_order(orders: Orders) -> None:
    given = [Order("cats", [1]), Order("cats"), Order()]
    orders.sign()
    assert orders.next() is None
    assert [orders.give(order) for order in given] == [1, 2, 3]
    for number, order in enumerate(given, 1):
        assert orders.next() == order
        assert not orders.obeyed_by_all(number)
        orders.obey()
        assert orders.obeyed_by_all(number)
    assert orders.next() is None


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    givers = [Orders(tmp_path) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda giver: giver.give(Order("cats")), givers * 10))
    assert sorted(numbers) == list(range(1, 81))


def test_who_comes_late_finds_all_orders(tmp_path: Path) -> None:
    Orders(tmp_path).give(Order("cats", []))
    late = Orders(tmp_path)
    assert late.next() == Order("cats", [])


def test_an_order_waits_for_those_who_live_only(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    number = orders.give(Order())
    orders.obey()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (tmp_path / f"obeyed-{other.pid}").write_text("0")
        assert not orders.obeyed_by_all(number)
        other.communicate(b"\n")
    assert orders.obeyed_by_all(number)
    assert [path.name for path in tmp_path.glob("obeyed-*")] == [f"obeyed-{os.getpid()}"]


@pytest.mark.parametrize(
    ("order", "concerned"),
    [(Order("cats"), [True, False, False]), (Order(), [True, True, True])],
)
def test_an_order_concerns_its_model_or_all(order: Order, concerned: list[bool]) -> None:
    assert [order.concerns(folder) for folder in ("cats/1", "catsuits/1", "dogs/1")] == concerned
