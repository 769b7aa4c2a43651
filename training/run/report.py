"""The figures that a training run reports while it trains."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Report:
    """Means over the current epoch, also of steps before the run was resumed; the throughput."""

    epoch: int
    """Number of the current epoch, from 1."""
    step: int
    """Steps done since the run began."""
    epoch_done: bool
    discriminator_loss: float
    generator_loss: float
    accuracy_real: float
    """Share of real images that the discriminator takes for real, see ``losses.accuracies``."""
    accuracy_fake: float
    """Share of generated images that the discriminator takes for generated."""
    images_per_second: float
    """Throughput of this process: of the whole epoch in its last report, else of about the last ten
    seconds. Steps before the run was resumed do not count."""
    stopping: bool = False
    """Whether the run stops after this report, because a signal asks for it."""
    augment_probability: float | None = None
    """The probability of adaptive augmentation at this step; None without it."""
    teacher_distance: float | None = None
    """The distance to the teacher's images, see ``distillation``; None without a teacher."""


OnReport: TypeAlias = Callable[[Report], object]
"""Called about once a second and at the end of every epoch."""


def ignore_report(_: Report) -> None:
    """An ``OnReport`` that does nothing."""
