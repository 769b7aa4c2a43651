"""The training loop. It yields reports and prints nothing."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.gan.gan import Gan
from training.loop.device import Notify
from training.loop.execution import ignore, select_step
from training.loop.length import check_count
from training.loop.reporting import REPORT_STEPS, EpochSoFar, Reporter
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


class Control(NamedTuple):
    """What connects the training loop with the run that it belongs to."""

    notify: Notify = ignore
    """Receives the reason if steps cannot run in the fastest way."""
    stop: Callable[[], bool] = lambda: False
    """Whether this process wants to stop; all stop after the next report."""
    epoch: EpochSoFar | None = None
    """The epoch in which a resumed run continues; it follows the training."""


_UNCONTROLLED = Control()


def train(
    gan: Gan,
    data: TrainingData,
    steps: int,
    report_every: int = REPORT_STEPS,
    control: Control = _UNCONTROLLED,
) -> Iterator[Report]:
    """Train on ``data`` until step ``steps``, or until a process of ``gan.group`` has to stop.

    Training continues at the step that ``gan`` has reached. Every process of ``gan.group`` calls
    this function with the same arguments.

    Yields a report at the end of every epoch, and in between about once a second, at least every
    ``report_every`` steps. Only then are the losses read, so that the CPU does not wait for the GPU
    in between. Raises DataError if there is no whole batch, TrainingError if steps cannot run as
    ``execution`` demands, and DivergedError if a loss is huge or not finite or, at the end of an
    epoch, if a weight is not finite.
    """
    images = data.images
    tensors = (images,) if data.conditions is None else (images, data.conditions)
    config, batch_size = gan.config, gan.config.batch_size
    check_count(len(images), batch_size)
    order = ImageOrder(len(images), config.seed, gan.device, images.device)
    train_step = select_step(gan, config.execution, control.notify)
    epoch = control.epoch or EpochSoFar.restored({}, gan)
    reporter = Reporter(gan, len(images), epoch, report_every)
    while gan.step < steps:
        gan.set_rate_factor(rate_factor(gan.step, steps, config.decay_from))
        rows = gan.group.share(order.rows(gan.step * batch_size, batch_size))
        reporter.add(train_step(*(values[rows] for values in tensors)))
        if reporter.is_due or gan.step == steps:
            report = reporter.report(control.stop())
            yield report
            if report.stopping:
                return
            reporter.resume()
