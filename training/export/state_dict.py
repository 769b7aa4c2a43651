"""``import``: publishes a generator of PyTorch's DCGAN example or tutorial from its state dict.

Both save ``netG.state_dict()`` of one ``nn.Sequential`` named ``main``: transposed 4×4
convolutions, the first from a 1×1 map to 4×4, each further one doubling the size; batch norm and
ReLU between them, and tanh at the end. The shapes of the tensors determine everything else.
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
from training.export.publish import Provenance, Source, source_of_network

Layer = dict[str, Tensor]
"""The tensors of one layer, by the last part of their names: weight, bias, running_mean, …"""

# "main.0.weight", or "module.main.0.weight" if it was trained on several GPUs.
_NAME = re.compile(r"(?:module\.)?(?:\w+\.)?(\d+)\.(\w+)")
_KERNEL = 4
_STATISTICS = {"weight", "bias", "running_mean", "running_var"}


def source(path: Path, prior: Prior, dataset: DataSet) -> Source:
    """The generator in the state dict ``path``.

    Only tensors are read from the file, so it cannot run code. Raises ExportError with the name of
    a tensor that does not fit.
    """
    network, latent_width, channels, size = build(read(path))
    training = Training(
        options={"imported": path.name, "latent_dim": latent_width, "image_size": size},
        epochs=0,
        steps=0,
        seconds=0,
        device="unknown",
    )
    return source_of_network(
        network,
        Latent(width=latent_width, prior=prior),
        Image(height=size, width=size, channels=channels),
        Provenance(dataset, training, {}),
    )


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in ``path``, by name. Raises ExportError if it contains anything else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ExportError(f"{path}: no such file") from error
    except Exception as error:  # torch.load has no error class of its own
        raise ExportError(f"{path}: not a state dict: {_first_line(error)}") from error
    if not isinstance(state, dict) or not state:
        raise ExportError(f"{path}: contains a {type(state).__name__}, not a state dict")
    for name, value in state.items():
        if not isinstance(value, Tensor) or not _NAME.fullmatch(name):
            raise ExportError(
                f"{path}: {name} is not a tensor of a layer, such as main.0.weight; "
                "save only netG.state_dict()"
            )
    return state


def build(state: dict[str, Tensor]) -> tuple[nn.Sequential, int, int, int]:
    """The network of ``state`` in eval mode, its latent width, channels and image size.

    Raises ExportError with the tensor's name and both shapes if one does not fit.
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
        # The activation of a convolution follows its batch norm, if it has one.
        followed = k + 1 < len(groups) and "running_mean" in groups[k + 1][1]
        if not followed:
            layers.append(nn.ReLU() if k + 1 < len(groups) else nn.Tanh())
    if channels_in not in {1, 3}:
        raise ExportError(f"{groups[-1][0]}.weight: has {channels_in} output channels, not 1 or 3")
    return nn.Sequential(*layers).eval(), latent_width, channels_in, size


def _layers(state: dict[str, Tensor]) -> Iterator[tuple[str, Layer]]:
    """The name and the tensors of each layer, in the order of the layers' numbers."""
    layers: dict[int, tuple[str, Layer]] = {}
    for name, tensor in state.items():
        matched = _NAME.fullmatch(name)
        number, last = int(matched[1]), matched[2]  # type: ignore[index]
        layers.setdefault(number, (name.rpartition(".")[0], {}))[1][last] = tensor.float()
    for number in sorted(layers):
        name, tensors = layers[number]
        required = _STATISTICS if "running_mean" in tensors else {"weight"}
        if missing := sorted(required - tensors.keys()):
            raise ExportError(f"{name}.{missing[0]}: is missing")
        yield name, tensors


def _convolution(name: str, tensors: Layer, channels_in: int, *, first: bool) -> nn.Module:
    weight = tensors["weight"]
    channels_out = weight.shape[1] if weight.ndim == 4 else "n"
    expected = (channels_in, channels_out, _KERNEL, _KERNEL)
    if tuple(weight.shape) != expected:
        raise ExportError(_wrong_shape(f"{name}.weight", weight, expected))
    stride, padding = (1, 0) if first else (2, 1)
    layer = nn.ConvTranspose2d(
        channels_in, weight.shape[1], _KERNEL, stride, padding, bias="bias" in tensors
    )
    return _with_weights(layer, name, tensors)


def _norm(name: str, tensors: Layer, channels: int) -> nn.Module:
    for last in sorted(_STATISTICS):
        if tuple(tensors[last].shape) != (channels,):
            raise ExportError(_wrong_shape(f"{name}.{last}", tensors[last], (channels,)))
    return _with_weights(nn.BatchNorm2d(channels), name, tensors)


def _with_weights(layer: nn.Module, name: str, tensors: Layer) -> nn.Module:
    unknown = sorted(tensors.keys() - layer.state_dict().keys())
    if unknown:
        raise ExportError(f"{name}.{unknown[0]}: unknown tensor of {layer}")
    try:
        layer.load_state_dict(tensors, strict=False)  # num_batches_tracked is not needed
    except RuntimeError as error:
        raise ExportError(f"{name}: {_first_line(error)}") from error
    return layer


def _wrong_shape(name: str, tensor: Tensor, expected: tuple[Any, ...]) -> str:
    shape = str(expected).replace("'", "")
    return f"{name}: has the shape {tuple(tensor.shape)}, not {shape}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
