"""Adversarial losses: pure functions on float32 logits ``(n, 1)``; real is positive."""

from torch import Tensor
from torch.nn.functional import relu, softplus

from training.config import Loss


def discriminator_loss(real: Tensor, fake: Tensor, loss: Loss) -> Tensor:
    """What the discriminator minimises.

    ``hinge``: Lim and Ye 2017 (arXiv 1705.02894), equation 4. ``bce``: Goodfellow et al. 2014
    (arXiv 1406.2661), equation 1, written on logits, where -log sigmoid(x) = softplus(-x).
    """
    if loss == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean()
    return softplus(-real).mean() + softplus(fake).mean()


def generator_loss(fake: Tensor, loss: Loss) -> Tensor:
    """What the generator minimises: -D(G(z)), or for ``bce`` the non-saturating -log D(G(z))."""
    return -fake.mean() if loss == "hinge" else softplus(-fake).mean()
