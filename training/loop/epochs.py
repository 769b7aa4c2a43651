"""The training loop. It yields reports and prints nothing."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.errors import DivergedError
from training.gan.gan import Gan
from training.loop.device import Notify
from training.loop.execution import ignore, select_step
from training.loop.length import check_count, epochs_done
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


class ImageOrder:
    """The order in which a run shows its images: one epoch after the other, without a gap."""

    def __init__(self, count: int, seed: int, device: torch.device, where: torch.device) -> None:
        """The order of ``count`` images, drawn on ``device`` and kept ``where`` the images are."""
        self._count, self._seed, self._device, self._where = count, seed, device, where
        self._orders: dict[int, Tensor] = {}

    def rows(self, first: int, size: int) -> Tensor:
        """The numbers of ``size`` images from number ``first`` on, counted since the run began.

        ``size`` is at most the number of images.
        """
        epoch, offset = divmod(first, self._count)
        rows = self._epoch(epoch)[offset : offset + size]
        if missing := size - len(rows):
            rows = torch.cat([rows, self._epoch(epoch + 1)[:missing]])
        return rows

    def _epoch(self, epoch: int) -> Tensor:
        if epoch not in self._orders:
            self._orders.pop(epoch - 2, None)
            order = epoch_order(self._count, self._seed, epoch, self._device)
            self._orders[epoch] = order.to(self._where)
        return self._orders[epoch]


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
    config, device, total = gan.config, gan.device, len(images)
    batch_size = config.batch_size
    check_count(total, batch_size)
    order = ImageOrder(total, config.seed, device, images.device)
    train_step = select_step(gan, config.execution, notify)
    totals, count, began = torch.zeros(4, device=device), 0, time.perf_counter()
    while gan.step < steps:
        epoch = epochs_done(gan.step, total, batch_size)
        gan.set_rate_factor(rate_factor(gan.step, steps, config.decay_from))
        rows = gan.group.share(order.rows(gan.step * batch_size, batch_size))
        totals += train_step(*(values[rows] for values in tensors))
        count += 1
        epoch_done = epochs_done(gan.step, total, batch_size) > epoch
        if epoch_done or gan.step % report_every == 0 or gan.step == steps:
            means: list[float] = gan.group.mean(totals / count).tolist()
            # Measured after the means are read, which waits for the device.
            speed = count * batch_size / (time.perf_counter() - began)
            yield _report(gan, epoch + 1, epoch_done, means, speed)
        if epoch_done:
            totals, count, began = torch.zeros(4, device=device), 0, time.perf_counter()


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
