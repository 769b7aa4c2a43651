"""The training loop. It yields reports and prints nothing."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.errors import DataError, DivergedError
from training.gan.gan import Gan
from training.loop.device import Notify
from training.loop.execution import ignore, select_step
from training.loop.schedule import rate_factor
from training.run.report import Report

_CPU = torch.device("cpu")


class TrainingData(NamedTuple):
    """The training images, and their classes or attributes if the networks are conditional."""

    images: Tensor
    """uint8 ``(n, channels, height, width)``."""
    conditions: Tensor | None = None
    """float32 ``(n, k)``, on the same device."""


def epoch_order(count: int, seed: int, epoch: int, device: torch.device = _CPU) -> Tensor:
    """A random permutation of ``count`` images, int64 ``(count,)``, on ``device``.

    It depends on ``seed``, ``epoch`` and the type of ``device``, but not on earlier epochs.
    """
    random = torch.Generator(device)
    random.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    return torch.randperm(count, generator=random, device=device)


def steps_per_epoch(count: int, batch_size: int) -> int:
    """The number of whole batches in ``count`` images. Raises DataError if there is none."""
    if count < batch_size:
        raise DataError(f"{count} images are fewer than one batch of {batch_size}")
    return count // batch_size


def train(
    gan: Gan, data: TrainingData, steps: int, report_every: int = 50, notify: Notify = ignore
) -> Iterator[Report]:
    """Train on ``data`` until step ``steps``.

    Training continues at the step that ``gan`` has reached. Every process of ``gan.group`` calls
    this function with the same arguments.

    Yields a report every ``report_every`` steps and at the end of every epoch. Only then are the
    losses read, so that the CPU does not wait for the GPU in between. ``notify`` receives the
    reason if steps cannot run in the fastest way. Raises DataError if there is no whole batch,
    TrainingError if steps cannot run as ``execution`` demands, and DivergedError if a loss is not
    finite or, at the end of an epoch, a weight.
    """
    images = data.images
    tensors = (images,) if data.conditions is None else (images, data.conditions)
    config, device = gan.config, gan.device
    batch_size, per_epoch = config.batch_size, steps_per_epoch(len(images), config.batch_size)
    train_step = select_step(gan, config.execution, notify)
    while gan.step < steps:
        epoch, first = divmod(gan.step, per_epoch)
        order = epoch_order(len(images), config.seed, epoch, device).to(images.device)
        last = min(per_epoch, first + steps - gan.step)
        totals, began = torch.zeros(4, device=device), time.perf_counter()
        for k in range(first, last):
            gan.set_rate_factor(rate_factor(gan.step, steps, config.decay_from))
            rows = gan.group.share(order[k * batch_size : (k + 1) * batch_size])
            totals += train_step(*(values[rows] for values in tensors))
            epoch_done = k + 1 == per_epoch
            if epoch_done or gan.step % report_every == 0 or gan.step == steps:
                count = k + 1 - first
                means: list[float] = gan.group.mean(totals / count).tolist()
                # Measured after the means are read, which waits for the device.
                speed = count * batch_size / (time.perf_counter() - began)
                yield _report(gan, epoch + 1, epoch_done, means, speed)


def _report(gan: Gan, epoch: int, epoch_done: bool, means: list[float], speed: float) -> Report:
    if not np.isfinite(means).all():
        raise DivergedError(
            f"step {gan.step}: the losses are {means[:2]}; the last checkpoint is unchanged"
        )
    if epoch_done and not gan.is_finite():  # the last step's update can spoil finite losses
        raise DivergedError(
            f"step {gan.step}: the weights are not finite; the last checkpoint is unchanged"
        )
    d_loss, g_loss, real, fake = means
    return Report(epoch, gan.step, epoch_done, d_loss, g_loss, real, fake, speed)
