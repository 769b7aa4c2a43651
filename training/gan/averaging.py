"""The averaged generator: the one that is sampled, measured and exported."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn


class Average(nn.Module):
    """An exponential moving average of a generator's weights (Yazıcı et al. 2018).

    In place of PyTorch's ``AveragedModel``, which counts its updates on the host: an update here is
    work for the device alone, so that it can be part of a CUDA graph.
    """

    def __init__(self, generator: nn.Module, decay: float) -> None:
        """Begin with a copy of ``generator``; ``decay`` in [0, 1) is the weight of what was."""
        super().__init__()
        self.module = copy.deepcopy(generator)
        self._decay = decay

    @torch.no_grad()
    def update(self, generator: nn.Module, first: bool) -> None:
        """Move towards ``generator``, or where this is the ``first`` update, become it.

        Batch norm's statistics are left behind: ``finished`` estimates them anew.
        """
        ours: list[Tensor] = list(self.module.parameters())
        theirs: list[Tensor] = list(generator.parameters())
        torch._foreach_lerp_(ours, theirs, 1.0 if first else 1 - self._decay)


def finished(average: Average, latents: Sequence[Tensor]) -> nn.Module:
    """A copy of the averaged generator, in eval mode, ready to draw.

    The batch-norm statistics gathered in training belong to other weights than the averaged ones,
    so they are estimated anew on batches of ``latents``, each ``(n, latent_dim)``.
    """
    network = copy.deepcopy(average.module)
    with torch.no_grad():
        update_bn(latents, network)
    return network.eval()
