"""What a graphics card is, can do and has to do, as far as it can be asked. On a CPU, the CPU."""

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
    """Until a GPU has done what it was told."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def arithmetic_rate(where: torch.device, size: int, seconds: float) -> float:
    """Operations a second of the product of two bfloat16 matrices of ``size``."""
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


def operations_an_image(config: Config, shape: tuple[int, int, int]) -> float:
    """Multiplications and additions of a training step, both players', by the batch's images.

    Of matrix products and convolutions alone: what is left is no more than a percent of them.
    """
    gan = Gan(config, shape, torch.device("cpu"))
    batch = torch.zeros(4, *shape, dtype=torch.uint8)
    with FlopCounterMode(display=False) as counter:
        gan.update(batch, with_penalty=False)
    return counter.get_total_flops() / len(batch)


@contextmanager
def utilisation(where: torch.device) -> Iterator[list[float]]:
    """What nvidia-smi says how busy the card is, in percent: its mean, once the context is left.

    Empty where there is no nvidia-smi, or no card.
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
        told, _ = watch.communicate(timeout=10)
        numbers = [float(line) for line in told.splitlines() if line.strip().isdigit()]
        if numbers:
            found.append(fmean(numbers))
