"""Files of feature networks that ``features`` trained on a folder, with what they are for."""

import io
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from app.artifact import atomic_files
from app.artifact.card import digest
from training.config import FOLDER
from training.data.datasets import FOLDER_IMAGE_SIZE
from training.errors import EvaluationError
from training.evaluation import features
from training.evaluation.features import NetworkSpec
from training.image_size import ImageSize


class About(BaseModel):
    """What a feature network was trained on, and how it was checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: tuple[str, ...]
    """The classes that it predicts; empty if it was trained without."""
    accuracy: float | None
    """Accuracy on images that it was not trained on; None without classes."""
    images: int
    """Number of training images."""
    steps: int
    seed: int
    distances: dict[str, float]
    """``fd_cnn`` to the training images by what was done to others, see ``feature_check``."""


def write(network: nn.Sequential, about: About, path: Path) -> str:
    """Write ``network`` to ``path``, atomically; returns the SHA-256 of the file."""
    buffer = io.BytesIO()
    torch.save({"about": about.model_dump_json(), "state": features.halved(network)}, buffer)
    atomic_files.write(path, buffer.getvalue())
    return digest(buffer.getvalue())


def read(path: Path) -> tuple[NetworkSpec, nn.Sequential, About]:
    """The network in ``path``, in eval mode on the CPU, and what it is for.

    Raises EvaluationError if the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EvaluationError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        found = torch.load(io.BytesIO(content), weights_only=True)
        about = About.model_validate_json(found["about"])
        spec = NetworkSpec(
            dataset=about.dataset,
            image_shape=about.image_shape,
            names=about.classes,
            exclusive=True,
            sha256=digest(content),
            accuracy=about.accuracy,
            file=path,
        )
        return spec, features.with_weights(found["state"], spec), about
    except ValidationError as error:
        raise EvaluationError(f"{path}: made by another version of this program") from error
    except Exception as error:  # torch.load has no exception type of its own for damaged files
        raise EvaluationError(f"{path}: not the file of a feature network: {error}") from error


def load(
    path: Path, image_shape: tuple[int, ...], folder: Path
) -> tuple[NetworkSpec, nn.Sequential]:
    """The network in ``path`` for images of ``image_shape`` (c, h, w) in ``folder``, see ``read``.

    Raises EvaluationError, also if the network is for images of another shape.
    """
    size = ImageSize.of_shape(image_shape)
    flag = "" if size == FOLDER_IMAGE_SIZE else f" --image-size {size}"
    command = f"python -m training features --dataset {FOLDER}{folder}{flag}"
    if not path.exists():
        raise EvaluationError(
            f"there is no feature network for {folder}: {path} does not exist; train it: {command}"
        )
    spec, network, _ = read(path)
    if spec.image_shape != tuple(image_shape):
        raise EvaluationError(
            f"{path}: for images of the shape {spec.image_shape}, not {tuple(image_shape)}; train "
            f"another one: {command} --out FILE, and name it by --features FILE"
        )
    return spec, network
