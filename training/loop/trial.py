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

MOST_MFLOP, FEWEST_IMAGES = 11_000, 8
"""On a CPU, a trial step computes at most so many MFLOP forwards, but always that many images:
seconds on one core. The time of a whole batch is then estimated; with fewer images, the operations
that do not depend on their number would decide it."""
WARM_UP_IMAGES = 2
"""Images of a first step, which only allocates memory."""


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
    images: int = 0
    """The number of images of the steps from which that time is estimated; 0 if it is measured."""


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

    def first(self, count: int) -> tuple[Tensor, ...]:
        """The batch of the first ``count`` images, with their conditions if there are any."""
        return tuple(values[:count] for values in self.batch)


def _trial_images(mflop: float, share: int, device: torch.device) -> int:
    """How many of a batch of ``share`` images a trial step has, of ``mflop`` each; most on a CPU.

    All of them on a GPU, which is quick, and slow per image with few of them.
    """
    if device.type == "cuda":
        return share
    return min(share, max(FEWEST_IMAGES, int(MOST_MFLOP / mflop)))


def trial(
    options: Config,
    data: DataSummary,
    device: torch.device,
    processes: int,
    teacher: nn.Module | None = None,
) -> Trial:
    """Train networks of their own for a few steps of blank images, with and without penalties.

    As in the run, each of ``processes`` processes has its share of a batch. If a step of that many
    images would take long, the time is estimated from smaller ones, in proportion. The random
    numbers are seeded; the networks of the run, made later, seed them again.
    """
    gan = Gan(options, data.shape, device, sampler=data.sampler, teacher=teacher)
    inputs = BlankInputs.of(options, data, device, processes)
    generator = _size(gan.generator, inputs.latents)
    discriminator = _size(gan.discriminator, *inputs.judged)
    share = len(inputs.batch[0])
    count = _trial_images(generator.mflop + discriminator.mflop, share, device)
    images, *conditions = inputs.first(count)
    gan.generator.train()
    gan.discriminator.train()
    estimated = count < share
    if estimated:
        first, *rest = inputs.first(WARM_UP_IMAGES)
        gan.update(first, gan.penalty_due, *rest)
    least = 1 if estimated else 2
    plain = _seconds(lambda: gan.update(images, False, *conditions), device, least)
    seconds = plain
    if gan.penalty_due:
        penalised = _seconds(lambda: gan.update(images, True, *conditions), device, least)
        seconds += (penalised - plain) / options.penalty_interval
    return Trial(generator, discriminator, seconds * share / count, count if estimated else 0)


def _seconds(work: Callable[[], Tensor], device: torch.device, least: int) -> float:
    """The least time of ``work``, done ``least`` times or more: the first also allocates memory."""
    times: list[float] = []
    while len(times) < least or (len(times) < TIMES and sum(times) < SECONDS):
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
    """The size of ``network`` for ``inputs`` of one image. It is put into eval mode."""
    network.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return NetworkSize(parameters, counter.get_total_flops() / 1e6)
