"""The options of ``encoder``; their fields are its flags.

Does not import torch, so that the command line starts quickly.
"""

from pydantic import Field

from training.config import CheckpointChoice, Dataset, GivenPath
from training.evaluation.options import DatasetOptions


class EncoderOptions(DatasetOptions):
    """The options of ``encoder``."""

    minutes: float = Field(
        30, gt=0, allow_inf_nan=False, description="minutes to train, over all calls"
    )
    steps: int | None = Field(None, ge=1, description="steps to train, in place of --minutes")
    batch_size: int = Field(
        64, ge=2, le=4096, description="generated images per step, and as many real images"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="determines weights, latents and order")
    dataset: Dataset | None = Field(
        None,
        description="real images: fashion-mnist, mnist, avatars or folder:PATH (default: those "
        "that the generator was trained on)",
    )
    real_images: bool = Field(
        True, description="train and measure on real images, too, not only on generated ones"
    )
    checkpoint: CheckpointChoice | None = Field(
        None, description="a run's checkpoint; without it the best if there is one, else the last"
    )
    threads: int = Field(0, ge=0, description="CPU threads; 0 for as many as are idle")
    out: GivenPath | None = Field(
        None,
        description="folder of its training; without it encoder in the run's folder, or "
        "runs/encoder-NAME-VERSION for a published version",
    )
