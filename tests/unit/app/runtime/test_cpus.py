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
def test_the_quota_limits_the_affinity(tmp_path: Path, files: dict[str, str], count: int) -> None:
    # Inside a container its own group is the root, whatever its path is on the host.
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
def test_the_smallest_quota_of_a_group_and_its_parents_applies(
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


def test_a_system_without_affinity_uses_all_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cpus.available(tmp_path, tmp_path / "own") == 5
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpus.available(tmp_path, tmp_path / "own") == 1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx2", False), ("", False)],
)
def test_bfloat16_units_are_found_in_the_flags_of_the_cpu(
    tmp_path: Path, flags: str, expected: bool
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor : 0\nflags : {flags}\n")
    assert cpus.has_bfloat16(cpuinfo) is expected
    assert cpus.has_bfloat16(tmp_path / "absent") is False
