"""The averaged generator, which is sampled, evaluated and exported."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn


class Average(nn.Module):
    """An exponential moving average of a generator's weights (Yazıcı et al. 2018).

    PyTorch's ``AveragedModel`` counts its updates on the CPU. An update here is work for the device
    alone, so it can be part of a CUDA graph.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        """Start as a copy of ``generator``; ``decay``, in [0, 1), is the old average's weight."""
        super().__init__()
        self.module = copy.deepcopy(generator)
        self._decay = decay

    @torch.no_grad()
    def update(self, generator: nn.Module, first: bool) -> None:
        """Move the average towards ``generator``; the ``first`` update copies its weights.

        Batch-norm statistics are not averaged: ``calibrated`` estimates them.
        """
        ours: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(generator.parameters())
        torch._foreach_lerp_(ours, theirs, 1.0 if first else 1 - self._decay)


def calibrated(average: Average, latents: Sequence[Tensor]) -> nn.Module:
    """A copy of the averaged generator in eval mode, with batch-norm statistics of its own.

    The statistics gathered in training belong to the weights of single steps, not to their average.
    They are therefore estimated on batches of ``latents``, each ``(n, latent_dim)``.
    """
    network = copy.deepcopy(average.module)
    with torch.no_grad():
        update_bn(latents, network)
    return network.eval()
