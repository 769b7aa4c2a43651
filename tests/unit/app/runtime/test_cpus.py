import os
from pathlib import Path

import pytest

from app.runtime import cpus


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 3),
    ],
)
def test_the_quota_cuts_the_affinity(tmp_path: Path, files: dict[str, str], count: int) -> None:
    # As a container sees it: its own is the outermost, whatever its path is on the host.
    for own in ("0::/\n1:cpu,cpuacct:/\n", "0::/docker/abc\n1:cpu:/docker/abc\n", ""):
        groups = write(tmp_path, {**files, "own": own})
        assert cpus.available(groups, groups / "own") == count


@pytest.mark.parametrize(
    ("own", "count"),
    [
        ("0::/system.slice/dcgan.service", 2),
        ("0::/system.slice", 3),
        ("0::/", 8),
        ("2:memory:/old\n1:cpuacct,cpu:/old/inner", 5),
        ("2:memory:/old/inner\n1:cpu:/other", 8),
    ],
)
def test_the_least_quota_of_all_groups_around_it_counts(
    tmp_path: Path, own: str, count: int
) -> None:
    files = {
        "system.slice/cpu.max": "300000 100000\n",
        "system.slice/dcgan.service/cpu.max": "200000 100000\n",
        "cpu/old/cpu.cfs_quota_us": "500000\n",
        "cpu/old/cpu.cfs_period_us": "100000\n",
        "cpu/old/inner/cpu.cfs_quota_us": "-1\n",
        "cpu/old/inner/cpu.cfs_period_us": "100000\n",
    }
    groups = write(tmp_path, {**files, "own": own})
    assert cpus.available(groups, groups / "own") == count


def test_a_system_without_affinity_counts_its_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cpus.available(tmp_path, tmp_path / "own") == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpus.available(tmp_path, tmp_path / "own") == 1
