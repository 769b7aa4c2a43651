"""Selects the device and the CPU threads of a run, and places the training images."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.runtime.cpus import available
from training.config import ComputePrecision, Device
from training.errors import TrainingError
from training.gan.hardware import resolve_precision
from training.loop.wording import counted

Notify = Callable[[str], None]
"""Receives one line for the person who watches the run."""


def limit_threads() -> None:
    """Limit PyTorch to the CPUs that this process may use; a container's quota counts."""
    torch.set_num_threads(min(torch.get_num_threads(), available()))


def resolve(device: Device) -> torch.device:
    """The device to use, with ``auto`` resolved. Raises TrainingError if there is no such GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("--device cuda: PyTorch finds no CUDA device; use --device cpu or auto")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def describe(device: torch.device, precision: ComputePrecision) -> str:
    """The hardware and the precision in use, for the run folder and the model card."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        cpu = torch.cpu.get_capabilities().get("cpu_name", "CPU")
        name = f"{cpu}, {counted(torch.get_num_threads(), 'thread')}"
    return f"{name}, {resolve_precision(device, precision)}"


def place_images(
    pixels: NDArray[np.uint8], device: torch.device, notify: Notify | None = None
) -> Tensor:
    """``pixels`` as a tensor: in the GPU's memory if they fit well, else in the host's.

    They may take up to half of the GPU's free memory; the rest is for weights, optimisers and
    activations. ``notify`` receives the reason if they stay in the host's memory.
    """
    images = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
    if device.type != "cuda":
        return images
    free = torch.cuda.mem_get_info(device)[0]
    if images.nbytes <= free // 2:
        return images.to(device)
    if notify:
        notify(
            f"the images stay in the host's memory: {images.nbytes:,} bytes are more than half of "
            f"the {free:,} bytes free on the GPU"
        )
    return images


def tune_convolutions(device: torch.device) -> None:
    """Let cuDNN benchmark its algorithms: a run has few shapes and repeats each many times."""
    torch.backends.cudnn.benchmark = device.type == "cuda"
