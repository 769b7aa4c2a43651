"""The kind of CPU: the instruction sets by which libraries select the code that computes a graph.

Two kinds may round differently, because their code sums in another order, or multiplies and adds in
one step. The names are Linux's. Sources: onnxruntime, ``onnxruntime/core/mlas/lib/platform.cpp``;
oneDNN, which OpenVINO uses, ``src/cpu/x64/cpu_isa_traits.hpp`` and
``src/cpu/aarch64/cpu_isa_traits.hpp``.
"""

import platform
from functools import cache
from pathlib import Path

from app.runtime.control_groups import words

_X86 = (
    *("sse4_1", "avx", "fma", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
)
_ARM = ("asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "sme", "sme2")
_SELECTING = frozenset(_X86 + _ARM)

_CPUINFO = Path("/proc/cpuinfo")
_SVE_LENGTH = Path("/proc/sys/abi/sve_default_vector_length")


@cache
def kind_of_cpu(cpuinfo: Path = _CPUINFO, sve_length: Path = _SVE_LENGTH) -> str:
    """The architecture and the instruction sets that select code, such as ``x86_64 avx avx2 fma``.

    Where the CPU has SVE, the number of bytes of its vectors follows. Outside Linux it is the
    architecture alone. Read once in a process.
    """
    found = _SELECTING.intersection(words(cpuinfo))
    length = words(sve_length) if "sve" in found else []
    return " ".join((platform.machine(), *sorted(found), *length))
