"""When a discriminator has won for good, and training on is a waste of time."""

from training.errors import CollapsedError
from training.run.report import Report

FEWEST_STEPS = 1000
"""Of a lost game: where epochs are a few steps each, the first ones are often lost for a while."""

_ACCURACY = 0.999
_LOSS = 0.01


def collapsed(report: Report) -> bool:
    """Whether in the epoch of ``report`` the discriminator was all but always right and certain.

    That is, it told at least 99.9% of the real and of the generated images, at a mean loss of 0.01
    or less: from there the loss has next to no gradient left to learn from. Both are asked for, as
    either alone is met in health: accurate but unsure, or sure with spectral norm's small slopes.
    A game that goes on is far from this: the 34 epochs of the shipped dcgan-28 never had more than
    97.5% of both kinds right, at a loss of 0.19 or more; keras-28's ten 86%, at 0.57 or more.
    """
    told = min(report.accuracy_real, report.accuracy_fake)
    return told >= _ACCURACY and report.discriminator_loss <= _LOSS


class Watch:
    """Looks at a run's epochs as they end."""

    def __init__(self, epochs: int, step: int) -> None:
        """To end a run after ``epochs`` lost in a row, 0 for never. It stands at ``step``."""
        self._allowed, self._lost, self._step = epochs, 0, step

    def lost(self, report: Report) -> bool:
        """Whether the epoch of ``report`` is lost, so that its checkpoint shall replace no other.

        Raises CollapsedError where it is one too many.
        """
        if not self._allowed or not collapsed(report):
            self._lost, self._step = 0, report.step
            return False
        self._lost += 1
        if self._lost >= self._allowed and report.step - self._step >= FEWEST_STEPS:
            raise CollapsedError(
                f"epoch {report.epoch}: for {self._lost} epochs the discriminator has told all "
                f"images apart, its loss is {report.discriminator_loss:.1g}: the generator has "
                "nothing to learn from. The last checkpoint is from before. Begin anew with "
                "--r1-gamma 1, --augment color,translation,cutout or a lower --discriminator-lr; "
                "or go on in spite of it with --resume --collapse-epochs 0"
            )
        return True
