import logging
import resource
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.server import descriptors


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The soft and the hard limit; the last entry is in force."""
    found = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: found.append(pair))
    return found


def test_the_soft_limit_is_raised_for_the_connections_and_a_reserve(
    limits: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    assert descriptors.split(1000) == (1000, 1000)
    assert 2000 < limits[-1][0] <= 4096
    assert caplog.text == ""


def test_a_soft_limit_that_is_high_enough_stays(limits: list[tuple[int, int]]) -> None:
    assert descriptors.split(100) == (100, 100)
    assert limits == [(1024, 4096)]


def test_the_reserve_shrinks_first(
    limits: list[tuple[int, int]], caplog: pytest.LogCaptureFixture
) -> None:
    admitted, reserve = descriptors.split(3000)
    assert admitted == 3000
    assert 500 < reserve < 1096
    assert limits[-1] == (4096, 4096)
    assert caplog.text == ""


@pytest.mark.parametrize("hard", [4096, 64, 8])
def test_too_low_a_limit_is_reported(
    limits: list[tuple[int, int]], caplog: pytest.LogCaptureFixture, hard: int
) -> None:
    limits.append((min(hard, 1024), hard))
    with caplog.at_level(logging.WARNING):
        admitted, reserve = descriptors.split(5000)
    assert admitted >= 1
    assert reserve >= 1
    assert admitted + reserve <= max(2, hard)
    assert f"max_connections 5000: at most {admitted} connections" in caplog.text


@pytest.mark.parametrize("pair", [(1024, -1), (-1, -1)])
def test_a_machine_may_have_no_limit(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, pair: tuple[int, int]
) -> None:
    monkeypatch.setattr(resource, "RLIM_INFINITY", -1)
    limits.append(pair)
    assert descriptors.split(10**6) == (10**6, 10**6)


def test_without_a_list_of_descriptors_their_number_is_estimated(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(descriptors, "Path", lambda _: tmp_path / "missing")
    assert descriptors.split(1000) == (1000, 1000)
    assert limits[-1] == (2000 + 64 + 64, 4096)


def test_windows_has_no_such_limit(
    limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "sys", SimpleNamespace(platform="win32"))
    assert descriptors.split(10**6) == (10**6, 10**6)
    assert limits == [(1024, 4096)]
