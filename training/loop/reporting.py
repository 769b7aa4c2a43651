"""Collects the figures of a training run and decides when they are read from the device."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.errors import DivergedError
from training.gan.gan import Gan
from training.loop.length import epochs_done
from training.run.report import Report

REPORT_STEPS = 50
"""Largest number of steps between two reports."""
REPORT_SECONDS = 1.0
"""Largest time between two reports, unless one step takes longer."""

LATEST_REPORTS = 10
"""Number of reports over which the throughput inside an epoch is a mean."""

MOST_LOSS = 1e5
"""Mean loss of an epoch above which a run has diverged. Losses are in nats, or the outputs of a
discriminator: in healthy runs they stay below 100."""

_ADVICE = (
    "the run has diverged, and its last checkpoint, if any, is from before. Start again with a "
    "lower --generator-lr and --discriminator-lr, or with --spectral-norm"
)


@dataclass
class EpochSoFar:
    """What the report of the current epoch is made of; a checkpoint inside an epoch holds it."""

    totals: Tensor
    """The sums of what its steps returned, on the training's device."""
    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def restored(cls, state: dict[str, Any], gan: Gan) -> "EpochSoFar":
        """The epoch whose ``state`` is in a checkpoint; one that begins if it is empty."""
        totals = torch.zeros(gan.figures, device=gan.device)
        if not state:
            return cls(totals)
        saved = state["totals"].to(gan.device)
        totals[: len(saved)] = saved  # early versions did not have the distance to a teacher
        return cls(totals, state["steps"], state["seconds"])

    def state(self) -> dict[str, Any]:
        """The values for a checkpoint."""
        return {"totals": self.totals.cpu(), "steps": self.steps, "seconds": self.seconds}

    def end(self) -> None:
        """Begin the next epoch."""
        self.totals, self.steps, self.seconds = torch.zeros_like(self.totals), 0, 0.0


class Throughput:
    """Steps per second of this process; those before it was resumed do not count."""

    def __init__(self) -> None:
        self._epoch_steps, self._epoch_seconds = 0, 0.0
        self._latest = deque[tuple[int, float]](maxlen=LATEST_REPORTS)

    def add(self, steps: int, seconds: float) -> None:
        """Add the steps between two reports, and the time that they took."""
        self._epoch_steps += steps
        self._epoch_seconds += seconds
        self._latest.append((steps, seconds))

    @property
    def latest(self) -> float:
        """The mean between the latest reports: a pause is forgotten soon."""
        steps, seconds = map(sum, zip(*self._latest, strict=True))
        return steps / seconds

    def end_epoch(self) -> float:
        """The mean of the steps in the epoch that ends; the next one begins."""
        mean = self._epoch_steps / self._epoch_seconds
        self._epoch_steps, self._epoch_seconds = 0, 0.0
        return mean


class Reporter:
    """Makes the reports of a run: at the end of an epoch, and in between about once a second.

    On a GPU the time of a step is only known once its values are read, and the processes of a group
    must report together. There, the time of the steps before a report decides how many steps later
    the next one is due.
    """

    def __init__(self, gan: Gan, images: int, epoch: EpochSoFar, most: int) -> None:
        """A run on ``images`` images, in ``epoch``, with at most ``most`` steps between reports."""
        self._gan, self._images, self._epoch, self._most = gan, images, epoch, most
        self._alone = gan.group.size == 1
        self._since, self._step = time.perf_counter(), gan.step
        self._next = gan.step + (most if self._alone else 1)
        self._seconds_per_step, self._throughput = 0.0, Throughput()

    def add(self, values: Tensor) -> None:
        """Add what a step returned."""
        self._epoch.totals += values
        self._epoch.steps += 1

    @property
    def epoch_done(self) -> bool:
        """Whether the step just done was the last one of an epoch."""
        return self._epochs_done(self._gan.step) > self._epochs_done(self._gan.step - 1)

    @property
    def is_due(self) -> bool:
        """Whether a report is due."""
        if self._alone and self._gan.device.type == "cpu":
            late = time.perf_counter() - self._since >= REPORT_SECONDS
        else:
            late = False
        return late or self.epoch_done or self._gan.step >= self._next

    def report(self, stop: bool) -> Report:
        """The report; every process of the group asks for its own at the same step.

        ``stop`` says whether this process wants to stop. Raises DivergedError if a loss is above
        ``MOST_LOSS`` or not finite, and at the end of an epoch, if a weight is not finite.
        """
        gan, epoch, done = self._gan, self._epoch, self.epoch_done
        own = torch.tensor([self._seconds_per_step, stop], device=gan.device)
        adaptive = [gan.adaptive.probability] if gan.adaptive else []
        values = gan.group.mean(torch.cat([epoch.totals, own, *adaptive]))
        count, found = gan.figures, values.tolist()
        epoch.totals = values[:count]
        seconds_per_step, stopping, *probability = found[count:]
        self._measure(seconds_per_step)
        d_loss, g_loss, real, fake, *distance = means = [
            total / epoch.steps for total in found[:count]
        ]
        if not all(abs(mean) <= MOST_LOSS for mean in means):  # a NaN is not
            raise DivergedError(
                f"step {gan.step}: the losses are {d_loss:.3g} and {g_loss:.3g}; {_ADVICE}"
            )
        if done:  # the last step's update can spoil finite losses
            check_weights(gan)
        steps_per_second = self._throughput.end_epoch() if done else self._throughput.latest
        if done:
            epoch.end()
        speed = steps_per_second * gan.config.batch_size
        number = self._epochs_done(gan.step - 1) + 1
        figures = (d_loss, g_loss, real, fake, speed, stopping > 0)
        optional = {"augment_probability": probability, "teacher_distance": distance}
        known = {name: value for name, values in optional.items() for value in values}
        return Report(number, gan.step, done, *figures, **known)

    def resume(self) -> None:
        """Continue after a report: the time that it took the caller does not count."""
        self._since = time.perf_counter()

    def _measure(self, seconds_per_step: float) -> None:
        """Note the time until now, and choose the next step with a report.

        The values have been read, which waits for the device. ``seconds_per_step`` is the same in
        the whole group, and therefore from before the last report; 0 if there was none.
        """
        passed, steps = time.perf_counter() - self._since, self._gan.step - self._step
        self._epoch.seconds += passed
        self._throughput.add(steps, passed)
        self._seconds_per_step, self._step = passed / max(1, steps), self._gan.step
        if self._alone:
            seconds_per_step = self._seconds_per_step
        fitting = int(REPORT_SECONDS / seconds_per_step) if seconds_per_step else 1
        self._next = self._step + min(self._most, max(1, fitting))

    def _epochs_done(self, step: int) -> int:
        return epochs_done(step, self._images, self._gan.config.batch_size)


def check_weights(gan: Gan) -> None:
    """Raise DivergedError if a weight of ``gan`` is not finite."""
    if not gan.is_finite():
        raise DivergedError(f"step {gan.step}: the weights are not finite; {_ADVICE}")
