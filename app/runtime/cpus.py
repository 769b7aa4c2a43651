"""The CPUs of this process: how many it may use, and whether they have bfloat16 units."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """How many CPUs this process may use: its affinity, limited by its container's quota.

    A fraction of a CPU is rounded up.
    """
    # Not every system has an affinity.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [quota for folder in _folders(cgroups, own) if (quota := _quota(folder))]
    return max(1, min([allowed or 1, *map(math.ceil, quotas)]))


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16 in hardware (AVX-512 or AMX); False outside Linux."""
    flags = {word for word in _words(cpuinfo) if word.startswith(("avx512_bf16", "amx_bf16"))}
    return bool(flags)


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """Folders of the process's control groups, versions 1 and 2, and of their parents (cgroups(7)).

    Inside a container its own group is the root, although the path may be the host's.
    """
    for line in _words(own) or ["0::/", "0:cpu:/"]:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers or "cpu" in controllers.split(","):
            root = cgroups / "cpu" if controllers else cgroups
            inner = PurePosixPath(path.strip("/"))
            yield from (root / folder for folder in (inner, *inner.parents))


def _quota(folder: Path) -> float | None:
    """The quota in CPUs, None for no limit: "200000 100000" is 2; "max 100000", or -1, no limit."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    match _words(folder / "cpu.max") or [word for name in names for word in _words(folder / name)]:
        case [quota, period] if quota.isdecimal():
            return int(quota) / int(period)
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
