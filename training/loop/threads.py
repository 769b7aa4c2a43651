"""How many CPU threads a run uses, and how they wait; does not import torch.

On a busy machine, threads wait for the slowest of them, which another process keeps from running.
OpenMP's threads wait by spinning, which takes the CPU from it for even longer. At a load of 8 on
two CPUs, two spinning threads trained on 6 images per second where one trained on 46.
"""

import os
import sys
from typing import NamedTuple

from app.runtime.cpus import available

_WAIT = "OMP_WAIT_POLICY"


class Threads(NamedTuple):
    """A number of CPU threads, and why it is that many."""

    number: int
    note: str = ""


def choose(requested: int, most: int) -> Threads:
    """``requested`` threads; for 0, ``most`` or as many as this process has CPUs that are idle."""
    if requested:
        return Threads(requested)
    cpus, load = available(), _load()
    idle = max(1, round((os.cpu_count() or 1) - load))
    count = min(most, cpus, idle)
    if count == min(most, cpus):
        return Threads(count)
    passively = ", and OpenMP's threads wait passively" if os.environ.get(_WAIT) else ""
    note = (
        f"of {cpus}, as other processes use the CPUs (load {load:.1f}){passively}; "
        "--threads sets another number"
    )
    return Threads(count, note)


def wait_passively_if_busy() -> None:
    """Let OpenMP's threads sleep while they wait, if other processes use half a CPU or more.

    OpenMP reads this when torch is loaded, so that it has no effect later. A policy in the
    environment stays as it is.
    """
    if "torch" not in sys.modules and round(_load()):
        os.environ.setdefault(_WAIT, "PASSIVE")


def _load() -> float:
    """The mean number of running processes in the last minute; 0 where that is unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
