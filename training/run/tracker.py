"""What a tracker of runs receives and does; one module implements it for each library."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from training.run.journal import SCORE
from training.run.report import Report

Ending: TypeAlias = Literal["finished", "stopped", "failed"]
"""How a run ends; one that is stopped can be continued."""

TAGS: Final = {
    "discriminator_loss": "loss/discriminator",
    "generator_loss": "loss/generator",
    "accuracy_real": "accuracy/real",
    "accuracy_fake": "accuracy/generated",
    "images_per_second": "speed/images_per_second",
}
"""The name of each figure of a Report."""
SCORE_TAG, PROBABILITY_TAG = f"score/{SCORE}", "augmentation/probability"
"""The names of the score, and of the probability of adaptive augmentation."""
DISTANCE_TAG: Final = "distance/teacher"
"""The name of the distance to the teacher's images."""
SAMPLES: Final = "samples"
"""The name of the sample sheets."""


@dataclass(frozen=True)
class TrackedEpoch:
    """One epoch of a run."""

    number: int
    step: int
    figures: dict[str, float]
    """By the names in ``TAGS``; also the score, the probability and the distance, if any."""
    grid: Path | None
    """Its sample sheet, a PNG file, if the epoch has one."""

    @classmethod
    def of(cls, report: Report, score: float | None, grid: Path | None) -> "TrackedEpoch":
        """The epoch that ``report`` ends."""
        values = asdict(report)
        figures = {tag: float(values[name]) for name, tag in TAGS.items()}
        optional = {
            SCORE_TAG: score,
            PROBABILITY_TAG: report.augment_probability,
            DISTANCE_TAG: report.teacher_distance,
        }
        known = {tag: value for tag, value in optional.items() if value is not None}
        return cls(report.epoch, report.step, figures | known, grid)


class Tracker(Protocol):
    """A run in a library for tracking runs. It may raise anything: the training continues."""

    @property
    def place(self) -> str:
        """Where the run is found, as a line of text; empty if that is its folder."""

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        """Log epochs, the last of which has just ended."""

    def finish(self, ending: Ending, summary: Mapping[str, float]) -> None:
        """Log the summary of the run, and end it."""
