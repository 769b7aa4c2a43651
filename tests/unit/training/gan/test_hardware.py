from typing import Any

import pytest
import torch

from training.config import ComputePrecision
from training.gan.hardware import autocast, has_fast_bf16

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("capability", "fast"), [((7, 5), False), ((8, 0), True), ((8, 9), True), ((9, 0), True)]
)
def test_gpus_have_fast_bf16_since_ampere(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], fast: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert has_fast_bf16(GPU) is fast


@pytest.mark.parametrize(
    ("capabilities", "fast"),
    [
        ({}, False),
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
    ],
)
def test_auto_means_bf16_on_a_cpu_with_bf16_units(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, Any], fast: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert has_fast_bf16(CPU) is fast
    with autocast(CPU, "auto"):
        assert torch.is_autocast_enabled("cpu") is fast


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_forward_passes_are_computed_in_the_named_precision(
    precision: ComputePrecision, dtype: torch.dtype
) -> None:
    with autocast(CPU, precision):
        assert torch.nn.functional.linear(torch.ones(1, 2), torch.ones(3, 2)).dtype == dtype
