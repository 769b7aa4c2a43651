"""The kind of CPU, from files like those of Linux."""

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from app.runtime.instruction_sets import kind_of_cpu

ZEN_3 = "flags\t\t: fpu sse sse2 ssse3 fma sse4_1 sse4_2 movbe avx f16c rdrand avx2 bmi2 erms\n"
ZEN_4 = ZEN_3.replace("bmi2", "bmi2 avx512f avx512dq avx512cd avx512bw avx512vl avx512_bf16")
GRAVITON_3 = "Features\t: fp asimd evtstrm aes asimdhp asimddp sve svei8mm i8mm bf16 rng\n"
ARCHITECTURE = platform.machine()


Kind = Callable[..., str]


@pytest.fixture
def kind(tmp_path: Path) -> Kind:
    """Returns the kind of a CPU from the text of /proc/cpuinfo and the length of its vectors."""

    def read(cpuinfo: str, length: int = 0) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        (folder / "cpuinfo").write_text(cpuinfo)
        if length:
            (folder / "length").write_text(f"{length}\n")
        return kind_of_cpu(folder / "cpuinfo", folder / "length")

    return read


def test_it_is_the_instruction_sets_that_select_code(kind: Kind) -> None:
    assert kind(f"processor\t: 0\nmodel name\t: AMD EPYC\n{ZEN_3}") == (
        f"{ARCHITECTURE} avx avx2 fma sse4_1"
    )
    assert kind(ZEN_4) == (
        f"{ARCHITECTURE} avx avx2 avx512_bf16 avx512bw avx512dq avx512f avx512vl fma sse4_1"
    )


def test_other_differences_make_no_other_kind(kind: Kind) -> None:
    faster = f"model name\t: Another CPU\ncpu MHz\t: 5000\n{ZEN_3.replace('erms', 'fsrm sha_ni')}"
    assert kind(faster) == kind(ZEN_3 * 64)


def test_the_length_of_the_vectors_counts_on_arm(kind: Kind) -> None:
    with_sve = f"{ARCHITECTURE} asimddp asimdhp bf16 i8mm sve svei8mm"
    assert kind(GRAVITON_3, 32) == f"{with_sve} 32"
    assert kind(GRAVITON_3, 16) == f"{with_sve} 16"
    assert kind("Features\t: fp asimd\n", 16) == ARCHITECTURE


def test_without_those_files_it_is_the_architecture(tmp_path: Path) -> None:
    assert kind_of_cpu(tmp_path / "none", tmp_path / "none") == ARCHITECTURE


def test_this_cpu_has_a_kind_that_does_not_change() -> None:
    assert kind_of_cpu().split()[0] == ARCHITECTURE
    assert kind_of_cpu() == kind_of_cpu()
