"""TensorBoard events of a run."""

from dataclasses import asdict
from pathlib import Path

from app.imaging.sheets import Pixels
from training.run.report import Report

TAGS = {
    "discriminator_loss": "loss/discriminator",
    "generator_loss": "loss/generator",
    "accuracy_real": "accuracy/real",
    "accuracy_fake": "accuracy/generated",
    "images_per_second": "speed/images_per_second",
}
"""The tag of each figure of a Report."""
PROBABILITY = "augmentation/probability"
"""The tag of the probability of adaptive augmentation, in runs that have it."""
SAMPLES = "samples"
"""The tag of the sample grids."""


class Events:
    """Writes events into a folder: one file for each time that the run is started or resumed."""

    def __init__(self, folder: Path, step: int) -> None:
        """Continue after ``step``: later events, of an interrupted run, are no longer shown."""
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        self._writer = SummaryWriter(str(folder), purge_step=step + 1)

    def write(self, report: Report, grid: Pixels) -> None:
        """Write the figures of an epoch and its sample grid ``(h, w, c)``, and flush the file."""
        figures = asdict(report)
        for name, tag in TAGS.items():
            self._writer.add_scalar(tag, figures[name], report.step)
        if report.augment_probability is not None:
            self._writer.add_scalar(PROBABILITY, report.augment_probability, report.step)
        self._writer.add_image(SAMPLES, grid, report.step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()
