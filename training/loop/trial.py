"""Tries a run out before it begins: how large its networks are, and how long a step takes."""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from training.config import Config
from training.gan.gan import Gan
from training.run.journal import DataSummary

SECONDS, TIMES = 1.0, 4
"""A measurement ends after one of these."""


class NetworkSize(NamedTuple):
    """The size of a network."""

    parameters: int
    mflop: float
    """Millions of multiplications and additions for one image."""


class Trial(NamedTuple):
    """What a trial found."""

    generator: NetworkSize
    discriminator: NetworkSize
    seconds: float
    """The mean time of a step, one operation at a time."""


def trial(options: Config, data: DataSummary, device: torch.device, processes: int) -> Trial:
    """Train networks of their own for a few steps of blank images, with and without penalties.

    As in the run, each of ``processes`` processes has its share of a batch. The random numbers are
    seeded; the networks of the run, made later, seed them again.
    """
    gan = Gan(options, data.shape, device, sampler=data.sampler)
    names = len(data.sampler.names) if data.sampler else 0
    batch_size = options.batch_size // processes
    batch = [torch.zeros(batch_size, *data.shape, dtype=torch.uint8, device=device)]
    if names:
        batch.append(torch.zeros(batch_size, names, device=device))
    plain = _seconds(lambda: gan.update(batch[0], False, *batch[1:]), device)
    seconds = plain
    if gan.penalty_due:
        penalised = _seconds(lambda: gan.update(batch[0], True, *batch[1:]), device)
        seconds += (penalised - plain) / options.penalty_interval
    latents = torch.zeros(1, options.latent_dim + names, device=device)
    image = torch.zeros(1, *data.shape, device=device)
    judged = (image, latents[:, options.latent_dim :]) if names else (image,)
    return Trial(_size(gan.generator, latents), _size(gan.discriminator, *judged), seconds)


def _seconds(work: Callable[[], Tensor], device: torch.device) -> float:
    """The least time of ``work``: the first time also allocates memory."""
    times: list[float] = []
    while len(times) < TIMES and sum(times) < SECONDS:
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - began)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _size(network: nn.Module, *inputs: Tensor) -> NetworkSize:
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return NetworkSize(parameters, counter.get_total_flops() / 1e6)
