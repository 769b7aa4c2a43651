"""Names the CPU on which a benchmark runs, as figures of different CPUs cannot be compared."""

import platform
from pathlib import Path

from app.runtime.cpus import available

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
"""Instruction sets that select other kernels."""


def description() -> str:
    """Name, number and instruction sets of the CPUs (Linux, ``/proc/cpuinfo``)."""
    found: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    name = found.get("model name", platform.processor() or platform.machine())
    family = f"family {found['cpu family']} model {found['model']}" if "model" in found else ""
    present = [flag for flag in FLAGS if flag in found.get("flags", "").split()]
    return f"{name} {family}, {available()} CPUs, {' '.join(present)}"
