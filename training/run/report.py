"""What a training run tells of itself while it goes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """Means since the epoch began (or the run went on), and how fast it went."""

    epoch: int
    """Epochs begun, from 1."""
    step: int
    """Steps done since the run began."""
    epoch_done: bool
    discriminator_loss: float
    generator_loss: float
    accuracy_real: float
    """Share of real images that the discriminator takes for real, see ``losses.accuracies``."""
    accuracy_fake: float
    """Share of generated images that it takes for generated."""
    images_per_second: float
