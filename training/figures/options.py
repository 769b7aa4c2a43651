"""The options of ``figures``; their fields are its flags."""

from pydantic import Field

from training.config import GivenPath
from training.evaluation.options import DatasetOptions


class FiguresOptions(DatasetOptions):
    """The options of ``figures``."""

    seed: int = Field(0, ge=0, lt=2**32, description="first seed")
    out: GivenPath | None = Field(
        None,
        description="output folder; without it figures in the run's folder, or runs/figures for "
        "a published version",
    )
    scale: int = Field(2, ge=1, le=16, description="scale of the images")
