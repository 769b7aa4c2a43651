"""Precision, memory layout and transfers: what a training step needs from the hardware."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from training.config import ComputePrecision

Network = TypeVar("Network", bound=nn.Module)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether ``device`` has bfloat16 units; without them autocast only costs time."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    units = torch.cpu.get_capabilities()
    return bool(units.get("amx_bf16") or units.get("avx512_bf16"))


def resolve_precision(device: torch.device, precision: ComputePrecision) -> ComputePrecision:
    """The precision in use on ``device``, ``fp32`` or ``bf16``, with ``auto`` resolved."""
    if precision == "auto":
        return "bf16" if has_fast_bf16(device) else "fp32"
    return precision


def autocast(device: torch.device, precision: ComputePrecision) -> torch.autocast:
    """A context for forward passes in ``precision``. With ``fp32`` it changes nothing."""
    enabled = resolve_precision(device, precision) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def channels_last(network: Network) -> Network:
    """``network`` itself, its weights converted to the layout with the fastest convolutions."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def to_device(batch: Tensor, device: torch.device) -> Tensor:
    """``batch`` on ``device``. A GPU copies it from pinned memory, so the CPU need not wait."""
    if device.type == "cuda" and not batch.is_cuda:
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)
