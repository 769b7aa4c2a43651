"""Detects runs whose discriminator has won permanently, where further training is wasted."""

from training.errors import CollapsedError
from training.loop.wording import counted
from training.run.report import Report

MIN_STEPS = 1000
"""Steps before a run may end: where an epoch is a few steps, the first epochs often look lost."""

_ACCURACY = 0.999
_LOSS = 0.01


def is_collapsed(report: Report) -> bool:
    """Whether the discriminator was almost always right, and certain, in the epoch of ``report``.

    That is, it classified at least 99.9% of the real and of the generated images correctly, at a
    mean loss of 0.01 or less: such a loss has almost no gradient left to learn from. Both
    conditions are needed, because a healthy run can meet either of them: accurate but uncertain, or
    certain with spectral norm's small slopes. Healthy runs are far from meeting both: in the 34
    epochs of the shipped dcgan-28, at most 97.5% of both kinds were correct, at a loss of 0.19 or
    more; in the ten of keras-28, 86%, at 0.57 or more.
    """
    accuracy = min(report.accuracy_real, report.accuracy_fake)
    return accuracy >= _ACCURACY and report.discriminator_loss <= _LOSS


class CollapseDetector:
    """Counts collapsed epochs in a row and ends the run after too many."""

    def __init__(self, allowed: int, step: int) -> None:
        """End the run after ``allowed`` collapsed epochs in a row, 0 for never.

        ``step`` is the number of steps that are done.
        """
        self._allowed, self._collapsed, self._healthy_step = allowed, 0, step

    def update(self, report: Report) -> bool:
        """Whether the epoch of ``report`` collapsed, so that its checkpoint must not be kept.

        Raises CollapsedError if it is one too many.
        """
        if not self._allowed or not is_collapsed(report):
            self._collapsed, self._healthy_step = 0, report.step
            return False
        self._collapsed += 1
        too_many = self._collapsed >= self._allowed
        if too_many and report.step - self._healthy_step >= MIN_STEPS:
            raise CollapsedError(
                f"epoch {report.epoch}: for {counted(self._collapsed, 'epoch')} the discriminator "
                f"classified every image correctly, at a loss of {report.discriminator_loss:.1g}: "
                "the generator has nothing to learn from. The last checkpoint is from before. "
                "Start again with --r1-gamma 1, --augment color,translation,cutout or a lower "
                "--discriminator-lr; or continue anyway with --resume --collapse-epochs 0"
            )
        return True
