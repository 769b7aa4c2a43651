"""What the measuring commands are told: models whose fields are their flags. Needs no torch."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.config import Device

Labelled = Literal["fashion-mnist"]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path | None = Field(None, description="folder of the data set's files")
    device: Device = Field("auto", description="auto takes the GPU where there is one")


class Learning(_Options):
    """The options of ``features``."""

    dataset: Labelled = Field("fashion-mnist", description="the labelled images to learn")
    epochs: int = Field(10, ge=1, description="passes over the data set")
    seed: int = Field(0, ge=0, lt=2**32, description="decides weights, order and shifts")
    out: Path = Field(Path("features.pt"), description="the file of the weights")
