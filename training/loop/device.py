"""Where a run computes and in which precision."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.runtime.cpus import available
from training.config import Device, Precision
from training.errors import TrainingError


def keep_to_quota() -> None:
    """Let PyTorch use no more threads than this process has CPUs; a container's quota counts."""
    torch.set_num_threads(min(torch.get_num_threads(), available()))


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
    enabled = resolve_precision(device, precision) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def resolve_precision(device: torch.device, precision: Precision) -> Precision:
    """The precision, ``fp32`` or ``bf16``, that ``precision`` means on ``device``."""
    if precision == "auto":
        return "bf16" if fast_at_bf16(device) else "fp32"
    return precision


def described(device: torch.device, precision: Precision) -> str:
    """What a run really computes on and in, for the journal and the card."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        cpu = torch.cpu.get_capabilities().get("cpu_name", "CPU")
        name = f"{cpu}, {torch.get_num_threads()} threads"
    return f"{name}, {resolve_precision(device, precision)}"


def resident(
    pixels: NDArray[np.uint8], device: torch.device, tell: Callable[[str], None] | None = None
) -> Tensor:
    """``pixels`` where training reads them: in the GPU's memory, or where they crowd it the host's.

    The half of the free memory that they never take is for weights, optimisers and activations.
    Whoever is to ``tell`` hears of it where the host keeps them.
    """
    images = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
    if device.type != "cuda":
        return images
    free = torch.cuda.mem_get_info(device)[0]
    if images.nbytes <= free // 2:
        return images.to(device)
    if tell:
        tell(
            f"the images stay in the host's memory: {images.nbytes:,} bytes are more than half of "
            f"the {free:,} that the GPU has free"
        )
    return images


def choose_algorithms(device: torch.device) -> None:
    """Let cuDNN try its convolutions out: a run has few shapes, each of them many times."""
    torch.backends.cudnn.benchmark = device.type == "cuda"


def channels_last(network: nn.Sequential) -> nn.Sequential:
    """``network`` with its weights in the layout in which convolutions are fastest."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def moved(batch: Tensor, device: torch.device) -> Tensor:
    """``batch`` on ``device``. A GPU fetches it from pinned memory, and the CPU need not wait."""
    if device.type == "cuda" and not batch.is_cuda:
        batch = batch.pin_memory()
    return batch.to(device, non_blocking=True)
