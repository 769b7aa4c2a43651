from typing import Any

import pytest
import torch

from training.config import Device, Precision
from training.errors import TrainingError
from training.loop.device import autocast, described, fast_at_bf16, resolve

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("device", "there", "meant"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cuda", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cpu", False, "cpu"),
    ],
)
def test_auto_means_the_gpu_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, device: Device, there: bool, meant: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert resolve(device) == torch.device(meant)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="--device cuda"):
        resolve("cuda")


@pytest.mark.parametrize(
    ("generation", "fast"), [((7, 5), False), ((8, 0), True), ((8, 9), True), ((9, 0), True)]
)
def test_gpus_are_fast_at_bf16_since_ampere(
    monkeypatch: pytest.MonkeyPatch, generation: tuple[int, int], fast: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: generation)
    assert fast_at_bf16(GPU) is fast


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [
        ({}, False),
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_a_cpu_is_fast_at_bf16_where_it_has_the_units(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fast_at_bf16(CPU) is fast
    with autocast(CPU, "auto"):
        assert torch.is_autocast_enabled("cpu") is fast


@pytest.mark.parametrize(("precision", "made"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_named_precision_is_the_one_that_is_computed_in(
    precision: Precision, made: torch.dtype
) -> None:
    with autocast(CPU, precision):
        assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(3, 2)).dtype == made


def test_a_device_is_described_by_its_name_and_what_it_computes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert described(GPU, "auto") == "Some GPU, bf16"
    assert described(GPU, "fp32") == "Some GPU, fp32"
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "Some CPU"})
    assert described(CPU, "auto") == f"Some CPU, {threads} threads, fp32"
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert described(CPU, "bf16") == f"CPU, {threads} threads, bf16"
