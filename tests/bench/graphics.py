"""Arithmetic rate and utilisation of a GPU or CPU, and the operations of a training step."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.config import Config
from training.gan.gan import Gan

_QUERY = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]


def wait(where: torch.device) -> None:
    """Wait until a GPU has finished its queued work."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def arithmetic_rate(where: torch.device, size: int, seconds: float) -> float:
    """Operations per second of multiplying two bfloat16 matrices of ``size`` × ``size``."""
    one, other = (torch.randn(size, size, device=where).bfloat16() for _ in range(2))
    one @ other
    wait(where)
    count, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        for _ in range(10):
            one @ other
        wait(where)
        count += 10
    return 2 * size**3 * count / passed


def operations_per_image(config: Config, shape: tuple[int, int, int]) -> float:
    """Multiplications and additions per image of one training step of both networks.

    Only matrix products and convolutions are counted; the rest is at most one percent of them.
    """
    gan = Gan(config, shape, torch.device("cpu"))
    batch = torch.zeros(4, *shape, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        gan.update(batch, with_penalty=False)
    return counter.get_total_flops() / len(batch)


@contextmanager
def utilisation(where: torch.device) -> Iterator[list[float]]:
    """A list that gets the mean utilisation of the GPU in percent at the end of the context.

    It stays empty without nvidia-smi or a GPU.
    """
    found: list[float] = []
    if where.type != "cuda" or shutil.which("nvidia-smi") is None:
        yield found
        return
    watch = subprocess.Popen([*_QUERY, "-lms", "100"], stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        watch.terminate()
        output, _ = watch.communicate(timeout=10)
        numbers = [float(line) for line in output.splitlines() if line.strip().isdigit()]
        if numbers:
            found.append(fmean(numbers))
