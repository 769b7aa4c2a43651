"""The training loop. It yields what happens and prints nothing."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from training.errors import DataError, DivergedError
from training.gan.step import Trainer
from training.loop.execution import Tell, choose, untold
from training.loop.schedule import pace
from training.run.report import Report

_CPU = torch.device("cpu")


def order(count: int, seed: int, epoch: int, device: torch.device = _CPU) -> Tensor:
    """The order of ``count`` images in ``epoch``: known without a walk through earlier epochs.

    Made on ``device``, whose kind decides it too.
    """
    random = torch.Generator(device)
    random.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
    return torch.randperm(count, generator=random, device=device)


def steps_an_epoch(count: int, batch_size: int) -> int:
    """Whole batches in ``count`` images. Raises DataError where there is none."""
    if count < batch_size:
        raise DataError(f"{count} images are less than one batch of {batch_size}")
    return count // batch_size


def train(
    trainer: Trainer, images: Tensor, steps: int, report_every: int = 50, tell: Tell = untold
) -> Iterator[Report]:
    """Train on ``images``, uint8 ``(n, channels, height, width)``, until ``steps`` are done in all.

    Every process of the trainer's group calls it with the same arguments.

    Reports every ``report_every`` steps and at the end of every epoch; only then are the losses
    read, so that a GPU is never waited for in between. Goes on where the trainer stands. Whoever is
    to ``tell`` hears why steps run in another way than on this device they should. Raises DataError
    where there is no whole batch, TrainingError where steps cannot run as the options will have it,
    DivergedError where a loss, or at the end of an epoch a weight, is no number.
    """
    config, where = trainer.config, trainer.device
    batch, whole = config.batch_size, steps_an_epoch(len(images), config.batch_size)
    step = choose(trainer, config.execution, tell)
    while trainer.step < steps:
        epoch, first = divmod(trainer.step, whole)
        shuffled = order(len(images), config.seed, epoch, where).to(images.device)
        last = min(whole, first + steps - trainer.step)
        totals, began = torch.zeros(4, device=where), time.perf_counter()
        for k in range(first, last):
            trainer.set_pace(pace(trainer.step, steps, config.decay_from))
            rows = trainer.group.share(shuffled[k * batch : (k + 1) * batch])
            totals += step(images[rows])
            done = k + 1 == whole
            if done or trainer.step % report_every == 0 or trainer.step == steps:
                count = k + 1 - first
                values: list[float] = trainer.group.mean(totals / count).tolist()
                speed = count * batch / (time.perf_counter() - began)  # now that they are read
                yield _report(trainer, epoch + 1, done, values, speed)


def _report(trainer: Trainer, epoch: int, done: bool, values: list[float], speed: float) -> Report:
    if not np.isfinite(values).all():
        raise DivergedError(
            f"step {trainer.step}: the losses are {values[:2]}; the last checkpoint is untouched"
        )
    if done and not trainer.finite():  # spoilt by the last step, after its losses were known
        raise DivergedError(
            f"step {trainer.step}: the weights are no numbers; the last checkpoint is untouched"
        )
    d_loss, g_loss, real, fake = values
    return Report(epoch, trainer.step, done, d_loss, g_loss, real, fake, speed)
