"""The layers of a network as a table: what each of them gives, holds and computes."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.utils.flop_counter import FlopCounterMode

from training.gan.conditional import Projection


class Layer(NamedTuple):
    """A layer of a network."""

    name: str
    shape: tuple[int, ...]
    """The shape of its output for one image."""
    parameters: int
    mflop: float
    """Millions of multiplications and additions for one image."""


def layers(network: nn.Module, *inputs: Tensor) -> list[Layer]:
    """The layers of ``network`` in the order in which they process ``inputs``, each for one image.

    Layers without parameters that keep the shape, such as activations, are left out. ``network``
    is put into eval mode.
    """
    found: list[Layer] = []
    network.eval()

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        mflop = counter.get_total_flops() / 1e6 - sum(earlier.mflop for earlier in found)
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        name = type_before_parametrizations(layer).__name__
        found.append(Layer(name, tuple(output.shape[1:]), parameters, mflop))

    hooks = [layer.register_forward_hook(note) for layer in _leaves(network)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    for hook in hooks:
        hook.remove()
    shapes = [tuple(inputs[0].shape[1:]), *(layer.shape for layer in found)]
    pairs = zip(shapes, found, strict=False)
    return [layer for before, layer in pairs if layer.parameters or layer.shape != before]


def table(title: str, rows: Iterable[Layer]) -> Iterator[str]:
    """``rows`` as lines of text, with their totals."""
    parameters, mflop = 0, 0.0
    yield f"{title:20}{'output':>12}{'parameters':>14}{'MFLOP':>10}"
    for layer in rows:
        shape = "×".join(map(str, layer.shape))
        yield f"{layer.name:20}{shape:>12}{layer.parameters:>14,}{layer.mflop:>10,.2f}"
        parameters, mflop = parameters + layer.parameters, mflop + layer.mflop
    yield f"{'total':32}{parameters:>14,}{mflop:>10,.2f}"


def _leaves(network: nn.Module) -> Iterator[nn.Module]:
    """The layers inside ``network``, which may be nested."""
    if isinstance(network, nn.Sequential | Projection):
        for child in network.children():
            yield from _leaves(child)
    else:
        yield network
