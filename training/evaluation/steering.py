"""Refines edit directions by gradient descent through generator and feature network.

Jahanian et al. 2020 (arXiv 1907.07171), section 3: a linear walk in latent space is trained so that
the images along it are edited as desired. Here the goal is given by attributes: one appears, and
all others are unchanged.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, pad
from tqdm import trange

from app.latent.sampling import Latents
from training.gan.conditional import Rows

STEPS, BATCH = 120, 64

_LEARNING_RATE = 0.06
_WEIGHT = 4.0
"""Weight of the edited attribute's loss, relative to each attribute that must not change."""
_TEMPERATURE = 4.0
"""Divides logits: the network is so confident that its gradient vanishes where it is wrong."""

Logits = Callable[[Tensor], Tensor]
"""Differentiable function from rows ``(n, z + k)`` to logits of attributes."""


def steer(
    step: Latents, rows: Rows, has: NDArray[np.bool_], attribute: int, logits: Logits
) -> Latents:
    """``step`` ``(width,)``, optimised to add ``attribute`` and change little else: ``(width,)``.

    ``rows`` ``(n, z + k)`` make images without it, ``has`` are their attributes. Equal arguments
    give equal results.
    """
    starts, targets = torch.from_numpy(rows), torch.from_numpy(has).float()
    targets[:, attribute] = 1
    weights = torch.ones(has.shape[1])
    weights[attribute] = _WEIGHT
    steered = torch.from_numpy(step.copy()).requires_grad_()
    conditions = (0, rows.shape[1] - len(step))  # they do not change
    adam = torch.optim.Adam([steered], _LEARNING_RATE)
    batches = np.random.default_rng(0).integers(len(rows), size=(STEPS, BATCH))
    for k in trange(STEPS, unit="step", leave=False):
        adam.param_groups[0]["lr"] = _LEARNING_RATE * (1 - k / STEPS)
        chosen = torch.from_numpy(batches[k])
        predicted = logits(starts[chosen] + pad(steered, conditions)) / _TEMPERATURE
        loss = binary_cross_entropy_with_logits(predicted, targets[chosen], weights)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return steered.detach().numpy()
