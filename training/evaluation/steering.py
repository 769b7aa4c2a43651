"""Steps among latents, learned by the slopes of what tells the attributes of their images.

Jahanian et al. 2020 (arXiv 1907.07171), section 3: a linear walk through latents is trained so that
what is drawn along it is edited as wanted. Here attributes say what is wanted: one comes, all
others stay.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from tqdm import trange

from app.latent.sampling import Latents

STEPS, BATCH = 120, 64

_LEARNING_RATE = 0.06
_WEIGHT = 4.0
"""Of the attribute that shall come, beside each that shall stay."""
_SOFTNESS = 4.0
"""Divides logits: the network is so sure that it has next to no slope where it is wrong."""

Logits = Callable[[Tensor], Tensor]
"""Latents ``(n, width)`` to the logits ``(n, k)`` of their images' attributes, differentiable."""


def steered(
    step: Latents, z: Latents, has: NDArray[np.bool_], attribute: int, logits: Logits
) -> Latents:
    """``step`` ``(width,)``, changed until it gives ``attribute`` and little else: ``(width,)``.

    ``z`` ``(n, width)`` are latents of images without it, ``has`` ``(n, k)`` their attributes. The
    same call gives the same step.
    """
    starts, wanted = torch.from_numpy(z), torch.from_numpy(has).float()
    wanted[:, attribute] = 1
    weights = torch.ones(has.shape[1])
    weights[attribute] = _WEIGHT
    way = torch.from_numpy(step.copy()).requires_grad_()
    adam = torch.optim.Adam([way], _LEARNING_RATE)
    chosen = np.random.default_rng(0).integers(len(z), size=(STEPS, BATCH))
    for k in trange(STEPS, unit="step", leave=False):
        adam.param_groups[0]["lr"] = _LEARNING_RATE * (1 - k / STEPS)
        rows = torch.from_numpy(chosen[k])
        told = logits(starts[rows] + way) / _SOFTNESS
        loss = binary_cross_entropy_with_logits(told, wanted[rows], weights)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return way.detach().numpy()
