"""``fit --init-from``: new networks get the weights of others, layer by layer.

Layers are matched in their order. A weight of another shape keeps its new, random values and is
named: a generator of other classes, say, differs in its first layer alone. A generator may have
more residual blocks than its source.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from app.artifact import card
from app.artifact.card import CardError
from training.errors import ExportError, RunError
from training.export import growth, source_folder, state_dict
from training.export.checkpoint_file import State
from training.gan.gan import Gan
from training.loop import checkpoint
from training.run.journal import Run

_WEIGHTS = ("weight", "bias")
_OPERATORS = {
    "Gemm": _WEIGHTS,
    "Conv": _WEIGHTS,
    "ConvTranspose": _WEIGHTS,
    "BatchNormalization": (*_WEIGHTS, "running_mean", "running_var"),
}
"""The operators with weights, and what their inputs after the first are."""
_CONDITIONAL = frozenset({"embedding", "classifier"})
"""The layers that a conditional discriminator has after those of an unconditional one."""


@dataclass(frozen=True)
class Layer:
    """A layer that has weights."""

    name: str
    tensors: State
    """By the last parts of their names: ``weight``, ``bias``, ``running_mean``, …"""

    @property
    def kind(self) -> str:
        """What it is, as far as its weights tell."""
        if "running_mean" in self.tensors:
            return "batch norm"
        dense = all(tensor.ndim <= 2 for tensor in self.tensors.values())
        return "a dense layer" if dense else "a convolution"


Layers = list[Layer]


@dataclass(frozen=True)
class Weights:
    """The weights of networks that have been trained before."""

    title: str
    latent_dim: int
    generator: Layers
    average: Layers
    discriminator: Layers | None = None
    """None if there is no discriminator."""


def begin(gan: Gan, source: Path) -> Iterator[str]:
    """Give the networks of ``gan`` the weights in ``source``; yields what was done, as text.

    ``source`` is the folder of a run, the folder of a published model or of one version, or the
    file of a state dict of PyTorch's DCGAN example. Raises RunError if it is none of these, or if
    its networks have other kinds of layers.
    """
    found = _read(source)
    frozen = gan.config.freeze_discriminator
    if frozen and found.discriminator is None:
        raise RunError(
            f"--freeze-discriminator {frozen}: {source} has no discriminator, whose layers could "
            "be kept"
        )
    latents = found.latent_dim if found.latent_dim == gan.config.latent_dim else 0
    parts: list[tuple[str, nn.Module, Layers]] = [("generator", gan.generator, found.generator)]
    if found.discriminator is not None:
        parts.append(("discriminator", gan.discriminator, found.discriminator))
    for name, network, layers in parts:
        kept = [*_copy(network, layers, name, source, latents)]
        yield f"{name}: weights of {found.title}{', except' if kept else ''}"
        yield from kept
    for _ in _copy(gan.average.module, found.average, "generator", source, latents):
        pass  # its shapes are those of the generator


def _copy(
    network: nn.Module, layers: Layers, title: str, source: Path, latents: int
) -> Iterator[str]:
    """Copy ``layers`` into ``network``; yields a line for each weight that does not fit.

    Of the first dense layer, the columns of ``latents`` latents are copied if the others, those of
    a condition, are not as many. Raises RunError if the layers are of other kinds, or if none fits.
    """
    copied = 0
    added = _grow(network, layers)
    yield from (f"  {name}: a new residual block, which changes nothing at first" for name in added)
    for number, (own, found) in enumerate(_pairs(network, layers, added)):
        if own is None or found is None or own.kind != found.kind:
            here, there = (
                f"{layer.kind} ({layer.name})" if layer else "missing" for layer in (own, found)
            )
            raise RunError(
                f"--init-from {source}: the networks differ: layer {number + 1} of the {title} is "
                f"{there} there and {here} here; use the same --preset, architecture and "
                "--image-size"
            )
        for name, values in own.tensors.items():
            given = found.tensors.get(name)
            if given is None and name == "bias":
                given = torch.zeros_like(values)
            if given is not None and given.shape == values.shape:
                values.copy_(given)
                copied += values.ndim > 1
                continue
            there = "nothing" if given is None else f"{tuple(given.shape)}"
            line = f"  {own.name}.{name}: {tuple(values.shape)} here, {there} there"
            if number == 0 and latents and given is not None and _same_rows(values, given, latents):
                values[:, :latents] = given[:, :latents]
                copied += 1
                line += "; the columns of the latents are kept"
            yield line
    if not copied:
        raise RunError(f"--init-from {source}: no weight of its {title} has a shape that fits here")


def _grow(network: nn.Module, layers: Layers) -> list[str]:
    """Turn the residual blocks without a counterpart in ``layers`` into the identity.

    Returns their names.
    """
    own = {layer.name: layer for layer in _layers(network.state_dict())}

    def fits(name: str, other: Layer) -> bool:
        mine, theirs = own[name].tensors, other.tensors
        same = all(mine[key].shape == theirs[key].shape for key in mine.keys() & theirs.keys())
        return same and own[name].kind == other.kind

    added = [*growth.new_blocks(network, [*own], layers, fits)]
    for name in added:
        growth.make_identity(network.get_submodule(name))
    return added


def _same_rows(values: Tensor, given: Tensor, latents: int) -> bool:
    return (
        values.ndim == given.ndim == 2
        and len(values) == len(given)
        and min(values.shape[1], given.shape[1]) >= latents
    )


def _pairs(
    network: nn.Module, layers: Layers, added: Sequence[str]
) -> Iterator[tuple[Layer | None, Layer | None]]:
    """Both layers at every place, without those for conditions that only one network has.

    The layers of the blocks ``added`` are left out, too.
    """
    inside = tuple(f"{name}." for name in added)
    own = [layer for layer in _layers(network.state_dict()) if not layer.name.startswith(inside)]
    if len(own) != len(layers):
        own, layers = (
            [layer for layer in each if layer.name not in _CONDITIONAL] for each in (own, layers)
        )
    return zip_longest(own, layers)


def _layers(state: State) -> Layers:
    """The layers in a state dict, in its order."""
    found: defaultdict[str, State] = defaultdict(dict)
    for name, tensor in state.items():
        head, parametrised, tail = name.partition(".parametrizations.")
        if not parametrised:
            head, _, tail = name.rpartition(".")
        if tail != "num_batches_tracked":  # only training uses it
            found[head][f"{parametrised}{tail}"] = tensor
    return [Layer(name, tensors) for name, tensors in found.items()]


def _read(source: Path) -> Weights:
    source_folder.check_weights(source)
    if source.is_file():
        return _of_file(source)
    if folder := source_folder.version_in(source):
        return _of_version(folder)
    return _of_run(Run(source))


def _of_run(run: Run) -> Weights:
    path = run.chosen_checkpoint(None)
    state = checkpoint.load(path)
    average = {name.removeprefix("module."): each for name, each in state["average"].items()}
    average.pop("n_averaged", None)
    return Weights(
        f"{run.folder}, {path.name}",
        run.config().latent_dim,
        _layers(state["generator"]),
        _layers(average),
        _layers(state["discriminator"]),
    )


def _of_version(folder: Path) -> Weights:
    """The generator of a version, which is averaged. Raises RunError if it is damaged."""
    try:
        described = card.read(folder)
        graph = onnx.load_from_string(card.load_graph(folder, described.variant("any"))).graph
    except CardError as error:
        raise RunError(f"--init-from {folder}: {error}") from error
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    layers = []
    for node in graph.node:
        names = _OPERATORS.get(node.op_type, ())
        given = [constants.get(name) for name in node.input[1:]]
        tensors = {
            name: torch.from_numpy(values.copy())
            for name, values in zip(names, given, strict=False)
            if values is not None
        }
        if tensors:
            layers.append(Layer(node.name, tensors))
    title = f"{described.name}/{described.version}"
    return Weights(title, described.latent.width, layers, layers)


def _of_file(path: Path) -> Weights:
    """The generator of a state dict, whose first convolution is a dense layer here."""
    try:
        first, *others = state_dict.find(path, None).layers
    except ExportError as error:
        raise RunError(f"--init-from {error}") from error
    weight = first.tensors["weight"]  # (latents, channels, height, width)
    dense = {**first.tensors, "weight": weight.flatten(1).T}
    if "bias" in dense:
        dense["bias"] = dense["bias"].repeat_interleave(weight[0, 0].numel())
    layers = [Layer(first.name, dense), *(Layer(one.name, one.tensors) for one in others)]
    return Weights(path.name, len(weight), layers, layers)
