"""The options of ``import``; its fields are the command's flags.

Does not import torch, so that the command line starts quickly.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.config import Activation, GivenPath

Range = Literal["tanh", "sigmoid"]


class ImportOptions(BaseModel):
    """What a state dict does not say about its network, and how to verify the result."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    key: str | None = Field(
        None, description="key of the generator in the file, if it has several, such as netG_ema"
    )
    activation: Activation = Field(
        "relu", description="activation function between its layers; leaky is LeakyReLU(0.2)"
    )
    norm_eps: float = Field(
        1e-5, gt=0, lt=1, description="number that its batch norm adds to the variance"
    )
    range: Range = Field(
        "tanh", description="its last activation: tanh, from -1 to 1, or sigmoid, from 0 to 1"
    )
    image_size: int | None = Field(
        None,
        description="height and width of its images, such as 28 (default: 4, doubled by every "
        "layer but the first)",
    )
    check: GivenPath | None = Field(
        None, description="NPZ file with its latents and images, which are compared"
    )
    reference: GivenPath | None = Field(
        None, description="picture of its samples in a grid, whose colours are compared"
    )
