import os
import sys

import pytest

from training.loop import threads
from training.loop.threads import Threads, choose, wait_passively_if_busy


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 8 CPUs, of which this process may use 4."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "available", lambda: 4)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)


def busy(monkeypatch: pytest.MonkeyPatch, load: float) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 99, 99))


@pytest.mark.parametrize(
    ("requested", "most", "load", "expected"),
    [
        (3, 8, 99, 3),
        (0, 8, 0, 4),
        (0, 2, 0, 2),
        (0, 8, 4.4, 4),
        (0, 8, 4.6, 3),
        (0, 8, 20, 1),
        (0, 1, 20, 1),
    ],
    ids=["requested", "the quota", "PyTorch's default", "idle enough", "busy", "full", "one"],
)
def test_threads_are_those_requested_or_as_many_as_idle_cpus(
    monkeypatch: pytest.MonkeyPatch, requested: int, most: int, load: float, expected: int
) -> None:
    busy(monkeypatch, load)
    assert choose(requested, most).number == expected


def test_fewer_threads_have_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 6)
    reason = "of 4, as other processes use the CPUs (load 6.0); --threads sets another number"
    assert choose(0, 8) == Threads(2, reason)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert "(load 6.0), and OpenMP's threads wait passively; --threads" in choose(0, 8).note
    assert choose(4, 8) == Threads(4)


def test_a_system_without_a_load_counts_as_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg")
    assert choose(0, 8) == Threads(4)


def test_threads_wait_passively_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    busy(monkeypatch, 0.4)
    wait_passively_if_busy()
    assert "OMP_WAIT_POLICY" not in os.environ
    busy(monkeypatch, 0.6)
    with monkeypatch.context() as patch:
        patch.setenv("OMP_WAIT_POLICY", "ACTIVE")
        wait_passively_if_busy()
        assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "restored after the test")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_passively_if_busy()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_the_policy_is_left_alone_once_torch_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", object())
    busy(monkeypatch, 9)
    wait_passively_if_busy()
    assert "OMP_WAIT_POLICY" not in os.environ
