"""The generator that an encoder belongs to, as a frozen module that can be differentiated."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from app.latent.conditions import ClassSampler
from training.config import CheckpointChoice
from training.errors import ExportError
from training.evaluation import feature_file, features, loaded_model
from training.evaluation.features import NetworkSpec
from training.evaluation.loaded_model import LoadedModel
from training.export import read_back
from training.gan.hardware import channels_last


@dataclass(frozen=True)
class Subject:
    """A generator, and the network by whose features its images are compared."""

    model: LoadedModel
    generator: nn.Module
    """From rows ``(n, z + k)`` to images ``(n, c, h, w)`` in [-1, 1]."""
    spec: NetworkSpec | None
    """The feature network for its images; None if there is none."""
    features: nn.Module | None
    """From images in [-1, 1] to their features ``(n, d)``."""
    device: torch.device

    @property
    def conditions(self) -> int:
        """Number of classes or attributes that the generator takes."""
        return len(self.model.sampler.names) if self.model.sampler else 0

    @property
    def exclusive(self) -> bool:
        """Whether its conditions are classes, of which an image has one."""
        return isinstance(self.model.sampler, ClassSampler)


def load(folder: Path, device: torch.device, choice: CheckpointChoice | None = None) -> Subject:
    """The generator of the run or of the published version in ``folder``.

    Raises EvaluationError and RunError as ``loaded_model.load`` does, ExportError as ``of_model``.
    """
    return of_model(loaded_model.load(folder, device, choice), folder, device)


def of_model(model: LoadedModel, folder: Path, device: torch.device) -> Subject:
    """The generator of ``model``, which was loaded from ``folder``.

    Raises ExportError if it is a version whose graph cannot be read back.
    """
    generator = model.generator or _read_back(folder.resolve())
    network, spec = _feature_network(model)
    body = network.get_submodule("body").requires_grad_(False).to(device) if network else None
    return Subject(
        model, channels_last(generator.requires_grad_(False)).to(device), spec, body, device
    )


def _feature_network(model: LoadedModel) -> tuple[nn.Module | None, NetworkSpec | None]:
    """The shipped network for images of ``model``, else the one that its run was scored with."""
    if spec := features.spec_for(model.dataset, model.image_shape):
        return features.load(spec), spec
    if model.run and model.run.features.exists():
        spec, network, _ = feature_file.read(model.run.features)
        return network, spec
    return None, None


def _read_back(folder: Path) -> nn.Module:
    """The generator in the graph of a version. Raises ExportError with what to do instead."""
    try:
        return read_back.generator(folder)
    except ExportError as error:
        raise ExportError(f"{folder}: {error}; train the encoder of its run instead") from error
