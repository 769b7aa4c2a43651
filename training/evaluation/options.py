"""The options of the evaluation commands; their fields are the commands' flags.

Does not import torch, so that the command line starts quickly.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from training.config import CheckpointChoice, Conditional, Dataset, Device, GivenPath, folder_of
from training.data.held_out import LEAST
from training.image_size import ALLOWED_SIZES, ImageSizeOption

Provider = Literal["cpu", "cuda", "openvino", "tensorrt"]
ProviderPrecision = Literal["fp32", "bf16", "fp16"]
Method = Literal["sefa", "pca"]

MIN_SAMPLES = LEAST
"""Smallest number of images in a set."""


class DeviceOptions(BaseModel):
    """The option that all commands have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: Device = Field("auto", description="cpu, cuda, or auto: the GPU if there is one")


class DatasetOptions(DeviceOptions):
    """The options of commands that read a data set."""

    data_dir: GivenPath | None = Field(None, description="folder of the data set's files")


class FeaturesOptions(DatasetOptions):
    """The options of ``features``."""

    dataset: Dataset = Field(
        "fashion-mnist",
        description="images to train on: fashion-mnist, mnist, avatars or folder:PATH",
    )
    image_size: ImageSizeOption | None = Field(
        None,
        description="size to which the images of a folder are cropped and scaled: "
        f"{ALLOWED_SIZES} (default: 64)",
    )
    conditional: Conditional = Field(
        "auto", description="none ignores the classes of a folder, auto uses them if it has any"
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="passes over the data set (default: 10; for a folder, as many as show 20,000 "
        "images)",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="determines weights, order and shifts")
    out: GivenPath | None = Field(
        None,
        description="output file of the weights (default: runs/features.pt; for a folder, the file "
        "beside it where fit and evaluate look for it)",
    )

    @property
    def folder(self) -> Path | None:
        """The folder of images, or None for another data set."""
        return folder_of(self.dataset)


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
    out: GivenPath | None = Field(
        None, description="output file of the record; without it a file in the run's folder"
    )


class ReferenceOptions(DatasetOptions):
    """The options of commands that measure a generator by real images."""

    features: GivenPath | None = Field(
        None,
        description="feature network of a folder (default: the run's, else that beside the folder)",
    )


class EvaluateOptions(RecordOptions, ReferenceOptions):
    """The options of ``evaluate``."""

    samples: int | None = Field(
        None,
        ge=MIN_SAMPLES,
        description="number of generated images, from seed 0 on (default: 10000, or half of the "
        "training images if these are fewer)",
    )
    inception: GivenPath | None = Field(
        None,
        description="file pt_inception-2015-12-05, to measure the true FID too, of images of any "
        "size, also without a feature network",
    )
    provider: Provider = Field("cpu", description="execution provider for a published version")
    precision: ProviderPrecision = Field(
        "fp32", description="precision of the provider; bf16 needs openvino, fp16 tensorrt"
    )


class EditOptions(RecordOptions):
    """The options of commands that find directions along which images are edited."""

    publish: bool = Field(
        False, description="add the directions to the card of a published version"
    )


class DirectionsOptions(EditOptions):
    """The options of ``directions``."""

    method: Method = Field(
        "sefa",
        description="sefa: from the weights of the first layer; pca: from its activations",
    )
    count: int = Field(5, ge=1, le=99, description="number of directions")
    seed: int = Field(0, ge=0, lt=2**32, description="first seed of the figure")
    figure: GivenPath | None = Field(
        None,
        description="output file of the figure; without it directions-sefa.png or "
        "directions-pca.png in the run's figures, or in runs/figures for a published version",
    )


class AttributesOptions(EditOptions, ReferenceOptions):
    """The options of ``attributes``."""

    labels: GivenPath | None = Field(
        None,
        description="CSV file with attributes of real images, one image a line: a file of the "
        "folder, or the index of a training image of another data set, then its attributes",
    )

    count: int = Field(
        20_000,
        ge=MIN_SAMPLES,
        description="number of generated images, from seed 0 on: the first half is used to find "
        "directions, the second half to evaluate them",
    )
