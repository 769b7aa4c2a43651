"""The options of the evaluation commands; their fields are the commands' flags.

Does not import torch, so that the command line starts quickly.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.config import CheckpointChoice, Device

LabelledDataset = Literal["fashion-mnist", "mnist", "avatars"]
Provider = Literal["cpu", "cuda", "openvino", "tensorrt"]
ProviderPrecision = Literal["fp32", "bf16", "fp16"]

MIN_SAMPLES = 100
"""Smallest number of images in a set: more than the 64 features, whose covariance is estimated, and
enough that 1% is one image."""


class DeviceOptions(BaseModel):
    """The option that all commands have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Device = Field("auto", description="cpu, cuda, or auto: the GPU if there is one")


class DatasetOptions(DeviceOptions):
    """The options of commands that read a data set."""

    data_dir: Path | None = Field(None, description="folder of the data set's files")


class FeaturesOptions(DatasetOptions):
    """The options of ``features``."""

    dataset: LabelledDataset = Field("fashion-mnist", description="labelled images to train on")
    epochs: int = Field(10, ge=1, description="passes over the data set")
    seed: int = Field(0, ge=0, lt=2**32, description="determines weights, order and shifts")
    out: Path = Field(Path("runs/features.pt"), description="output file of the weights")


class ProbeOptions(DatasetOptions):
    """The options of ``probe``."""

    labels: int | None = Field(
        None, ge=MIN_SAMPLES, description="number of labelled training images; without it all"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="determines these images and their order")


class RecordOptions(DeviceOptions):
    """The options of commands that measure a generator and write a record."""

    checkpoint: CheckpointChoice | None = Field(
        None, description="a run's checkpoint; without it the best if there is one, else the last"
    )
    out: Path | None = Field(
        None, description="output file of the record; without it a file in the run's folder"
    )


class EvaluateOptions(RecordOptions, DatasetOptions):
    """The options of ``evaluate``."""

    samples: int = Field(
        10_000, ge=MIN_SAMPLES, description="number of generated images, from seed 0 on"
    )
    inception: Path | None = Field(
        None, description="file pt_inception-2015-12-05, to measure the true FID too"
    )
    provider: Provider = Field("cpu", description="execution provider for a published version")
    precision: ProviderPrecision = Field(
        "fp32", description="precision of the provider; bf16 needs openvino, fp16 tensorrt"
    )


class AttributesOptions(RecordOptions):
    """The options of ``attributes``."""

    count: int = Field(
        20_000,
        ge=MIN_SAMPLES,
        description="number of generated images, from seed 0 on: the first half is used to find "
        "directions, the second half to evaluate them",
    )
