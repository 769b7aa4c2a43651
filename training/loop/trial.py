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
"""A measurement ends after one of these, but not before its second time: the first is slower."""


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


class BlankInputs(NamedTuple):
    """Zeros of the shapes that the networks of a run take."""

    batch: tuple[Tensor, ...]
    """One process's share of a batch: uint8 images and, if conditional, float32 conditions."""
    latents: Tensor
    """The generator's input for one image."""
    judged: tuple[Tensor, ...]
    """The discriminator's inputs for one image."""

    @classmethod
    def of(
        cls, options: Config, data: DataSummary, device: torch.device, processes: int
    ) -> "BlankInputs":
        """The inputs of a run with ``options`` on ``data`` by ``processes`` processes."""
        share = options.batch_size // processes
        batch = [torch.zeros(share, *data.shape, dtype=torch.uint8, device=device)]
        judged = [torch.zeros(1, *data.shape, device=device)]
        names = len(data.sampler.names) if data.sampler else 0
        if names:
            batch.append(torch.zeros(share, names, device=device))
            judged.append(torch.zeros(1, names, device=device))
        latents = torch.zeros(1, options.latent_dim + names, device=device)
        return cls(tuple(batch), latents, tuple(judged))


def trial(
    options: Config,
    data: DataSummary,
    device: torch.device,
    processes: int,
    teacher: nn.Module | None = None,
) -> Trial:
    """Train networks of their own for a few steps of blank images, with and without penalties.

    As in the run, each of ``processes`` processes has its share of a batch. The random numbers are
    seeded; the networks of the run, made later, seed them again.
    """
    gan = Gan(options, data.shape, device, sampler=data.sampler, teacher=teacher)
    inputs = BlankInputs.of(options, data, device, processes)
    images, *conditions = inputs.batch
    plain = _seconds(lambda: gan.update(images, False, *conditions), device)
    seconds = plain
    if gan.penalty_due:
        penalised = _seconds(lambda: gan.update(images, True, *conditions), device)
        seconds += (penalised - plain) / options.penalty_interval
    generator = _size(gan.generator, inputs.latents)
    return Trial(generator, _size(gan.discriminator, *inputs.judged), seconds)


def _seconds(work: Callable[[], Tensor], device: torch.device) -> float:
    """The least time of ``work``: the first time also allocates memory."""
    times: list[float] = []
    while len(times) < 2 or (len(times) < TIMES and sum(times) < SECONDS):
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
