"""How many CPUs this process may use, its affinity cut to its container's quota, and their kind."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available(cgroups: Path = _CGROUPS) -> int:
    """Whole CPUs, at least one; half a CPU of quota is one thread."""
    # Not every system has an affinity to ask for.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota_v2(cgroups) or _quota_v1(cgroups) or float(allowed or 1)
    return max(1, min(allowed or 1, math.ceil(quota)))


def has_bfloat16(described: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16, by AVX-512 or AMX; elsewhere than on Linux: unknown."""
    flags = {word for word in _words(described) if word.startswith(("avx512_bf16", "amx_bf16"))}
    return bool(flags)


def _quota_v2(cgroups: Path) -> float | None:
    """Of ``cpu.max``: "200000 100000" is two CPUs, "max 100000" no limit."""
    match _words(cgroups / "cpu.max"):
        case [quota, period] if quota != "max":
            return int(quota) / int(period)
    return None


def _quota_v1(cgroups: Path) -> float | None:
    """Of the ``cpu`` controller's two files; a quota of -1 is no limit."""
    match _words(cgroups / "cpu/cpu.cfs_quota_us"), _words(cgroups / "cpu/cpu.cfs_period_us"):
        case [quota], [period] if int(quota) > 0:
            return int(quota) / int(period)
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
