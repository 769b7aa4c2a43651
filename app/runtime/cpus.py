"""The CPUs of this process: how many it may use, and whether they have bfloat16 units."""

import math
import os
from pathlib import Path

from app.runtime import control_groups
from app.runtime.control_groups import GROUPS, OWN, words


def available(cgroups: Path = GROUPS, own: Path = OWN) -> int:
    """How many CPUs this process may use: its affinity, limited by its container's quota.

    A fraction of a CPU is rounded up.
    """
    # Not every system has an affinity.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    folders = control_groups.folders("cpu", cgroups, own)
    quotas = [quota for folder in folders if (quota := _quota(folder))]
    return max(1, min([allowed or 1, *map(math.ceil, quotas)]))


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX-512 or AMX); False outside Linux."""
    flags = {word for word in words(cpuinfo) if word.startswith(("avx512_bf16", "amx_bf16"))}
    return bool(flags)


def _quota(folder: Path) -> float | None:
    """The quota in CPUs, None for no limit: "200000 100000" is 2; "max 100000", or -1, no limit."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    match words(folder / "cpu.max") or [word for name in names for word in words(folder / name)]:
        case [quota, period] if quota.isdecimal():
            return int(quota) / int(period)
    return None
