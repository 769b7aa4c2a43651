"""Where a run computes and in which precision."""

import torch

from training.config import Device, Precision
from training.errors import TrainingError


def resolve(device: Device) -> torch.device:
    """The device that ``device`` means here. Raises TrainingError for a GPU that is not there."""
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: PyTorch finds no CUDA device; use --device cpu or auto")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def fast_at_bf16(device: torch.device) -> bool:
    """Whether ``device`` has bfloat16 units; without them autocast only costs time."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    units = torch.cpu.get_capabilities()
    return bool(units.get("amx_bf16") or units.get("avx512_bf16"))


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The autocast region of a forward pass: bfloat16, or nothing where fp32 is asked for."""
    wanted = precision == "bf16" or (precision == "auto" and fast_at_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


def described(device: torch.device) -> str:
    """The device's name, for the journal and the card."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return (
        f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, {torch.get_num_threads()} threads"
    )
