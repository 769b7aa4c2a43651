"""The averaged generator, which is sampled, evaluated and exported."""

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

RAMP = 0.05
"""Longest half-life of an average, as a share of the steps done."""


class Average(nn.Module):
    """An exponential moving average of a generator's weights (Yazıcı et al. 2018).

    PyTorch's ``AveragedModel`` counts its updates on the CPU. An update here is work for the device
    alone, so it can be part of a CUDA graph.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        """Start as a copy of ``generator``; ``decay``, in [0, 1), is the old average's weight."""
        super().__init__()
        self.module = copy.deepcopy(generator)
        self._half_life = math.log(0.5) / math.log(decay) if decay else 0.0
        # On the device, as a CUDA graph keeps the value of a Python number.
        self._weight = torch.ones((), device=next(generator.parameters()).device)

    def ramp(self, step: int) -> None:
        """Set the decay for an update after ``step`` steps of training.

        The half-life of the average is at most a twentieth of the run so far, as in StyleGAN2-ADA
        (Karras et al. 2020, arXiv 2006.06676, ``ema_rampup``). With a constant decay, the average
        of a short run would consist of its first steps.
        """
        half_life = min(self._half_life, RAMP * step)
        self._weight.fill_(1 - 0.5 ** (1 / half_life) if half_life else 1.0)

    @torch.no_grad()
    def update(self, generator: nn.Module) -> None:
        """Move the average towards ``generator``; before any ``ramp``, copy its weights.

        Batch-norm statistics are not averaged: ``calibrated`` estimates them.
        """
        ours: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(generator.parameters())
        torch._foreach_lerp_(ours, theirs, [self._weight] * len(ours))


def calibrated(average: Average, latents: Sequence[Tensor]) -> nn.Module:
    """A copy of the averaged generator in eval mode, with batch-norm statistics of its own.

    The statistics gathered in training belong to the weights of single steps, not to their average.
    They are therefore estimated on batches of ``latents``, each ``(n, latent_dim)``.
    """
    network = copy.deepcopy(average.module)
    with torch.no_grad():
        update_bn(latents, network)
    return network.eval()
