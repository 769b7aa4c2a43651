"""``import``: a generator that PyTorch's DCGAN example or tutorial trained, from its state dict.

Both save ``netG.state_dict()`` of one ``nn.Sequential`` called ``main``: transposed 4×4
convolutions, the first from a 1×1 map to 4×4, each further one doubling it; batch norm and ReLU
between them, tanh at the end. Everything that differs from one such network to another stands in
the shapes of its tensors.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from app.artifact.card import DataSet, Image, Latent, Training
from app.latent.sampling import Prior
from training.errors import ExportError
from training.export.publish import Provenance, Source, of_network

Layer = dict[str, Tensor]
"""The tensors of one layer, by their last name: weight, bias, running_mean, …"""

# "main.0.weight", and "module.main.0.weight" where several GPUs trained it.
_NAME = re.compile(r"(?:module\.)?(?:\w+\.)?(\d+)\.(\w+)")
_KERNEL = 4
_STATISTICS = {"weight", "bias", "running_mean", "running_var"}


def source(path: Path, prior: Prior, dataset: DataSet) -> Source:
    """The generator in the state dict ``path``. Raises ExportError, naming the tensor that misfits.

    Only tensors are read from the file: it cannot run code.
    """
    network, latent_width, channels, size = build(read(path))
    training = Training(
        options={"imported": path.name, "latent_dim": latent_width, "image_size": size},
        epochs=0,
        steps=0,
        seconds=0,
        device="unknown",
    )
    return of_network(
        network,
        Latent(width=latent_width, prior=prior),
        Image(height=size, width=size, channels=channels),
        Provenance(dataset, training, {}),
    )


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in ``path`` by name. Raises ExportError where it holds anything else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ExportError(f"{path}: there is no such file") from error
    except Exception as error:  # torch.load has no error of its own for a file that is none
        raise ExportError(f"{path}: is no state dict: {_first_line(error)}") from error
    if not isinstance(state, dict) or not state:
        raise ExportError(f"{path}: holds a {type(state).__name__}, not a state dict")
    for name, value in state.items():
        if not isinstance(value, Tensor) or not _NAME.fullmatch(name):
            raise ExportError(
                f"{path}: {name} is no tensor of a layer, such as main.0.weight; "
                f"save netG.state_dict() alone"
            )
    return state


def build(state: dict[str, Tensor]) -> tuple[nn.Sequential, int, int, int]:
    """The network of ``state``, in eval mode, its latent width, channels and image size.

    Raises ExportError with the tensor's name and both shapes for what does not fit.
    """
    groups = list(_layers(state))
    convolutions = [layer["weight"] for _, layer in groups if "running_mean" not in layer]
    latent_width, size = len(convolutions[0]), _KERNEL * 2 ** (len(convolutions) - 1)
    channels_in = latent_width
    layers: list[nn.Module] = [nn.Unflatten(1, (latent_width, 1, 1))]
    for k, (name, tensors) in enumerate(groups):
        if "running_mean" in tensors:
            layers.append(_norm(name, tensors, channels_in))
        else:
            layers.append(_convolution(name, tensors, channels_in, first=k == 0))
            channels_in = tensors["weight"].shape[1]
        # A convolution's activation stands behind its batch norm, where it has one.
        followed = k + 1 < len(groups) and "running_mean" in groups[k + 1][1]
        if not followed:
            layers.append(nn.ReLU() if k + 1 < len(groups) else nn.Tanh())
    if channels_in not in {1, 3}:
        raise ExportError(f"{groups[-1][0]}.weight: draws {channels_in} channels, not 1 or 3")
    return nn.Sequential(*layers).eval(), latent_width, channels_in, size


def _layers(state: dict[str, Tensor]) -> Iterator[tuple[str, Layer]]:
    """Each layer's name and tensors, in the order of their numbers."""
    layers: dict[int, tuple[str, Layer]] = {}
    for name, tensor in state.items():
        matched = _NAME.fullmatch(name)
        number, last = int(matched[1]), matched[2]  # type: ignore[index]
        layers.setdefault(number, (name.rpartition(".")[0], {}))[1][last] = tensor.float()
    for number in sorted(layers):
        name, tensors = layers[number]
        wanted = _STATISTICS if "running_mean" in tensors else {"weight"}
        if missing := sorted(wanted - tensors.keys()):
            raise ExportError(f"{name}.{missing[0]}: is missing")
        yield name, tensors


def _convolution(name: str, tensors: Layer, channels_in: int, *, first: bool) -> nn.Module:
    weight = tensors["weight"]
    channels_out = weight.shape[1] if weight.ndim == 4 else "n"
    expected = (channels_in, channels_out, _KERNEL, _KERNEL)
    if tuple(weight.shape) != expected:
        raise ExportError(_misfit(f"{name}.weight", weight, expected))
    stride, padding = (1, 0) if first else (2, 1)
    layer = nn.ConvTranspose2d(
        channels_in, weight.shape[1], _KERNEL, stride, padding, bias="bias" in tensors
    )
    return _filled(layer, name, tensors)


def _norm(name: str, tensors: Layer, channels: int) -> nn.Module:
    for last in sorted(_STATISTICS):
        if tuple(tensors[last].shape) != (channels,):
            raise ExportError(_misfit(f"{name}.{last}", tensors[last], (channels,)))
    return _filled(nn.BatchNorm2d(channels), name, tensors)


def _filled(layer: nn.Module, name: str, tensors: Layer) -> nn.Module:
    unknown = sorted(tensors.keys() - layer.state_dict().keys())
    if unknown:
        raise ExportError(f"{name}.{unknown[0]}: has no place in {layer}")
    try:
        layer.load_state_dict(tensors, strict=False)  # the count of batches is of no use
    except RuntimeError as error:
        raise ExportError(f"{name}: {_first_line(error)}") from error
    return layer


def _misfit(name: str, tensor: Tensor, expected: tuple[Any, ...]) -> str:
    shape = str(expected).replace("'", "")
    return f"{name}: has the shape {tuple(tensor.shape)} where {shape} would fit"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
