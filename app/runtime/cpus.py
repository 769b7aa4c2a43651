"""The CPUs that this process may use: how many, its container's quota heeded, and which."""

import ctypes
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath

_CGROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Whole CPUs, at least one; half a CPU of quota is one thread."""
    # Not every system has an affinity to ask for.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [quota for folder in _folders(cgroups, own) if (quota := _quota(folder))]
    return max(1, min([allowed or 1, *map(math.ceil, quotas)]))


def has_bfloat16(described: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16, by AVX-512 or AMX; elsewhere than on Linux: unknown."""
    flags = {word for word in _words(described) if word.startswith(("avx512_bf16", "amx_bf16"))}
    return bool(flags)


def current() -> int | None:
    """The CPU that runs the thread that asks; None where the system does not tell."""
    found = _sched_getcpu()
    return None if found is None else found()


def leave(threads: Iterable[int], cpu: int) -> None:
    """Let ``threads``, by their native ids, run on any other CPU of this process than that one."""
    others = os.sched_getaffinity(0) - {cpu}
    for thread in threads:
        with suppress(OSError):  # there is no other, or the thread has ended
            os.sched_setaffinity(thread, others)


@cache
def _sched_getcpu() -> Callable[[], int] | None:
    if not hasattr(os, "sched_setaffinity"):
        return None
    found: Callable[[], int] | None = getattr(ctypes.CDLL(None), "sched_getcpu", None)
    return found


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """The process's control groups, of both versions, and all that are around them (cgroups(7)).

    A container sees its own as the outermost, though their path may be told as the host's.
    """
    for line in _words(own) or ["0::/", "0:cpu:/"]:
        _, _, told = line.partition(":")
        controllers, _, path = told.partition(":")
        if not controllers or "cpu" in controllers.split(","):
            root = cgroups / "cpu" if controllers else cgroups
            inner = PurePosixPath(path.strip("/"))
            yield from (root / folder for folder in (inner, *inner.parents))


def _quota(folder: Path) -> float | None:
    """In CPUs: "200000 100000" is two of them; "max 100000", or -1, no limit."""
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
