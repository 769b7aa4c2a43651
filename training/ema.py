"""The averaged generator: the one that is sampled, measured and exported."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn


def averaged(generator: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the generator's weights (Yazıcı et al. 2018)."""
    return AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]


def finished(average: AveragedModel, latents: Sequence[Tensor]) -> nn.Module:
    """A copy of the averaged generator, in eval mode, ready to draw.

    The batch-norm statistics gathered in training belong to other weights than the averaged ones,
    so they are estimated anew on batches of ``latents``, each ``(n, latent_dim)``.
    """
    network = copy.deepcopy(average.module)
    with torch.no_grad():
        update_bn(latents, network)
    return network.eval()
