"""The training loop of an encoder. It yields reports and prints nothing."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.encoder.graphed import select_step
from training.encoder.images import Images
from training.encoder.options import EncoderOptions
from training.encoder.trainer import LEARNING_RATE, Trainer
from training.errors import DivergedError
from training.gan import adam
from training.loop import device as devices
from training.loop.device import Notify
from training.loop.execution import ignore

REPORT_EVERY = 20
"""Steps between two reports."""


@dataclass(frozen=True, slots=True)
class Report:
    """The mean losses since the report before."""

    step: int
    seconds: float
    """Time of all steps."""
    done: float
    """Share of the training that is done."""
    latents: float
    reconstruction: float
    conditions: float


def share_done(trainer: Trainer, options: EncoderOptions) -> float:
    """The share of the training that is done: of the steps if they are given, else of the time."""
    if options.steps:
        return trainer.step / options.steps
    return trainer.seconds / (60 * options.minutes)


def train(
    trainer: Trainer,
    images: Images | None,
    options: EncoderOptions,
    stop: Callable[[], bool] = lambda: False,
    notify: Notify = ignore,
) -> Iterator[Report]:
    """Train until all steps are done, the time is over, or ``stop`` says so.

    Yields a report every ``REPORT_EVERY`` steps, and at the end. Only then are the losses read, so
    that the CPU does not wait for a GPU in between. Raises DivergedError if they are not finite.
    ``notify`` receives the reason if steps cannot run in the fastest way.
    """
    batches, train_step = _Batches(images, trainer), select_step(trainer, notify)
    began = time.perf_counter() - trainer.seconds
    totals, first = torch.zeros(3, device=trainer.subject.device), trainer.step
    stopping = False
    while (done := share_done(trainer, options)) < 1 and not stopping:
        # The learning rate falls to zero along half a cosine.
        adam.set_learning_rate(trainer.adam, LEARNING_RATE * (1 + math.cos(math.pi * done)) / 2)
        totals += train_step(*batches.next())
        trainer.seconds = time.perf_counter() - began
        done, stopping = share_done(trainer, options), stop()
        if trainer.step % REPORT_EVERY == 0 or done >= 1 or stopping:
            means = (totals / (trainer.step - first)).tolist()
            if not np.isfinite(means).all():
                raise DivergedError(
                    f"step {trainer.step}: the losses are {means}; the last checkpoint is unchanged"
                )
            yield Report(trainer.step, trainer.seconds, min(done, 1), *means)
            totals, first = torch.zeros_like(totals), trainer.step


class _Batches:
    """Random real images with their conditions."""

    def __init__(self, images: Images | None, trainer: Trainer) -> None:
        self._size, self._images = trainer.batch_size, list[Tensor]()
        if images is not None:
            pixels = devices.place_images(images.pixels, trainer.subject.device)
            self._images.append(pixels)
            if images.conditions is not None:
                self._images.append(torch.from_numpy(images.conditions).to(pixels.device))

    def next(self) -> tuple[Tensor, ...]:
        """Pixels ``(n, c, h, w)`` and conditions ``(n, k)``, as far as there are any."""
        if not self._images:
            return ()
        pixels = self._images[0]
        rows = torch.randint(len(pixels), (self._size,), device=pixels.device)
        return tuple(values[rows] for values in self._images)
