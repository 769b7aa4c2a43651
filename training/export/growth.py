"""Deeper networks: a network may have more residual blocks than the one that gives it its weights.

The additional blocks begin as the identity, so that at first both networks compute the same (Chen
et al. 2016, "Net2Net", arXiv 1511.05641).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from torch import nn

from training.gan.residual import Residual

Layer = TypeVar("Layer")
_LAST = nn.BatchNorm2d | nn.Linear
"""What the residual blocks of generators end in."""


def new_blocks(
    network: nn.Module,
    own: Sequence[str],
    found: Sequence[Layer],
    fits: Callable[[str, Layer], bool],
) -> Iterator[str]:
    """The names of the residual blocks of ``network`` that the other network does not have.

    ``own`` are the names of all its layers with weights, in order; ``found`` are the layers of the
    other network. ``fits`` says whether a layer of ``network`` may get the weights of another.
    """
    blocks = [name for name, module in network.named_modules() if isinstance(module, Residual)]
    block_of = {layer: name for name in blocks for layer in own if layer.startswith(f"{name}.")}
    surplus, rest = len(own) - len(found), list(found)
    for block, group in groupby(own, block_of.get):
        names = list(group)
        counterpart = rest[: len(names)]
        if block and len(names) <= surplus and not all(map(fits, names, counterpart)):
            surplus -= len(names)
            yield block
        else:
            del rest[: len(names)]


def make_identity(block: nn.Module) -> None:
    """Make a residual block return its input, by weights of zero in its last layer."""
    *_, last = (layer for layer in block.children() if isinstance(layer, _LAST))
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
