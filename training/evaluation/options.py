"""What the commands that measure or draw are told: models whose fields are their flags.

Needs no torch.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.config import CheckpointChoice, Device

Labelled = Literal["fashion-mnist", "avatars"]
Provider = Literal["cpu", "cuda", "openvino", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16"]

FEWEST = 100
"""Images of a set: more than the 64 features, whose covariance is estimated, and 1% is one."""


class _Placed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Device = Field("auto", description="auto takes the GPU where there is one")


class _Options(_Placed):
    data_dir: Path | None = Field(None, description="folder of the data set's files")


class Learning(_Options):
    """The options of ``features``."""

    dataset: Labelled = Field("fashion-mnist", description="the labelled images to learn")
    epochs: int = Field(10, ge=1, description="passes over the data set")
    seed: int = Field(0, ge=0, lt=2**32, description="decides weights, order and shifts")
    out: Path = Field(Path("features.pt"), description="the file of the weights")


class Probing(_Options):
    """The options of ``probe``."""

    labels: int | None = Field(
        None, ge=FEWEST, description="images to learn the classes from; without it all"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="decides which images, and their order")


class Drawing(_Options):
    """The options of ``figures``."""

    seed: int = Field(0, ge=0, lt=2**32, description="the first seed that is drawn")
    out: Path | None = Field(
        None, description="the folder of the figures; a run's own, or figures, without"
    )
    scale: int = Field(2, ge=1, le=16, description="height and width of a pixel of an image")


class _Recorded(_Placed):
    checkpoint: CheckpointChoice | None = Field(
        None, description="a run's last or best; without it the best where there is one"
    )
    out: Path | None = Field(
        None, description="the file of the record; a run's own folder has it without"
    )


class Measuring(_Recorded, _Options):
    """The options of ``evaluate``."""

    samples: int = Field(10_000, ge=FEWEST, description="images to draw, from seed 0 on")
    inception: Path | None = Field(
        None, description="file pt_inception-2015-12-05 for the true FID, too"
    )
    provider: Provider = Field("cpu", description="which draws what a published version does")
    precision: Precision = Field(
        "fp32", description="of its arithmetic; openvino has bf16, tensorrt fp16"
    )


class Editing(_Recorded):
    """The options of ``attributes``."""

    count: int = Field(
        20_000,
        ge=FEWEST,
        description="images to draw, from seed 0 on: a half to find directions by, a half to judge "
        "them",
    )
