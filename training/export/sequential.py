"""Reads the layers of an ``nn.Sequential`` of the DCGAN example's family from a state dict.

A state dict contains tensors and no structure. Layers without tensors, such as activations, are
gaps in the numbering: any gap that the family does not have is refused, because what lies there is
unknown.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from training.errors import ExportError
from training.export.checkpoint_file import State
from training.export.folding import Tensors, fold

# "main.0.weight", or "net.0.1.weight" if the layers are grouped into blocks.
_NAME = re.compile(r"((?:[A-Za-z_]\w*\.)*)(\d+(?:\.\d+)?)\.(\D.*)")
_NORM = {"weight", "bias", "running_mean", "running_var"}
_CONVOLUTION = {"weight", "bias"}
ADOPT = "export the network as ONNX and use adopt, which reads any structure"
"""Advice for generators of other families."""
_ONE = f"if one module is the whole generator, name it by --key, else {ADOPT}"


@dataclass(frozen=True)
class Layer:
    """A layer that has tensors: a convolution or batch norm."""

    name: str
    number: tuple[int, ...]
    """Its place in the ``nn.Sequential``: one number, or a block's and one in the block."""
    tensors: Tensors
    """``weight`` and perhaps ``bias``; of batch norm all four tensors."""

    @property
    def is_norm(self) -> bool:
        """Whether it is batch norm."""
        return "running_mean" in self.tensors


def layers(state: State) -> list[Layer]:
    """The layers in the order in which they run, with float32 tensors.

    Raises ExportError with the name of a tensor or layer that the family does not have.
    """
    found = [_layer(name, number, tensors) for number, (name, tensors) in _grouped(state)]
    if found[0].is_norm or set(found[0].number) != {0}:
        raise ExportError(
            f"{found[0].name}: is the first layer with tensors, but that must be a convolution "
            f"with the number 0; {ADOPT}"
        )
    for previous, layer in pairwise(found):
        if not _follows(layer, previous):
            raise ExportError(
                f"{layer.name}: does not follow {previous.name} directly. After a convolution come "
                "at most batch norm and one activation here; other layers between them, such as "
                f"InstanceNorm, Dropout or Upsample, are not in the file; {ADOPT}"
            )
    return found


def _grouped(state: State) -> Iterator[tuple[tuple[int, ...], tuple[str, Tensors]]]:
    """The number, the name and the tensors of each layer, sorted by number."""
    found: dict[tuple[int, ...], tuple[str, Tensors]] = {}
    modules = set()
    for name, tensor in state.items():
        if not (matched := _NAME.fullmatch(name)):
            raise ExportError(
                f"{name} is not a tensor of a numbered layer, such as main.0.weight; import reads "
                f"one nn.Sequential; {ADOPT}"
            )
        prefix, numbers, last = matched.groups()
        modules.add(prefix.removesuffix("."))
        number = tuple(map(int, numbers.split(".")))
        layer, tensors = found.setdefault(number, (prefix + numbers, {}))
        if layer != prefix + numbers:
            raise ExportError(
                f"{layer} and {prefix}{numbers} have the same number, so that their order is "
                f"unknown; {_ONE}"
            )
        if last != "num_batches_tracked":  # only training uses it
            tensors[last] = _plain(name, tensor)
    if len(modules) > 1:
        raise ExportError(
            f"its layers belong to several modules, {', '.join(sorted(modules))}; {_ONE}"
        )
    yield from sorted(found.items())


def _plain(name: str, tensor: Tensor) -> Tensor:
    """``tensor`` in float32. Raises ExportError if it has no finite real numbers."""
    if tensor.is_quantized or tensor.layout != torch.strided or tensor.device.type == "meta":
        raise ExportError(f"{name}: is quantised, sparse or without values; save plain tensors")
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        raise ExportError(f"{name}: has the type {kind}, not a floating-point type")
    if not tensor.numel():
        raise ExportError(f"{name}: has the shape {tuple(tensor.shape)}, which is empty")
    if not (plain := tensor.detach().float()).isfinite().all():
        raise ExportError(
            f"{name}: contains NaN or infinite numbers, so that the network draws nothing; use a "
            "checkpoint from before its training diverged"
        )
    return plain


def _layer(name: str, number: tuple[int, ...], tensors: Tensors) -> Layer:
    """The layer with plain weights, and with all four tensors if it is batch norm."""
    tensors = fold(name, tensors)
    known, required = _CONVOLUTION, {"weight"}
    if "running_mean" in tensors or "running_var" in tensors:
        known, required = _NORM, _NORM
        if not tensors.keys() & _CONVOLUTION and "running_mean" in tensors:  # affine=False
            zeros = torch.zeros_like(tensors["running_mean"])
            tensors = {**tensors, "weight": zeros + 1, "bias": zeros}
    elif "weight" in tensors and tensors["weight"].ndim == 1:
        raise ExportError(
            f"{name}: has a weight but no running_mean, so it is either InstanceNorm or batch norm "
            f"saved by parameters(); save netG.state_dict(), or {ADOPT}"
        )
    for what, names in (
        ("is missing", required - tensors.keys()),
        ("is unknown", tensors.keys() - known),
    ):
        if names:
            raise ExportError(f"{name}.{min(names)}: {what}")
    return Layer(name, number, tensors)


def _follows(layer: Layer, previous: Layer) -> bool:
    """Whether only an activation can lie between the two layers, or nothing before batch norm."""
    *block, last = previous.number
    if layer.is_norm:
        return layer.number == (*block, last + 1) and not previous.is_norm
    if not block:
        return layer.number == (last + 2,)
    # A block without batch norm might contain anything: its activation leaves no gap.
    return previous.is_norm and layer.number in {(block[0] + 1,), (block[0] + 1, 0)}
