"""Adversarial losses: pure functions on float32 logits ``(n, 1)``; real is positive.

The relativistic loss looks at pairs of a real and a generated image, one row each, and at nothing
but the difference of their logits: there, real is whatever has the larger one.
"""

from torch import Tensor
from torch.nn.functional import relu, softplus

from training.config import Loss


def discriminator_loss(real: Tensor, fake: Tensor, loss: Loss) -> Tensor:
    """What the discriminator minimises.

    ``hinge``: Lim and Ye 2017 (arXiv 1705.02894), equation 4. ``bce``: Goodfellow et al. 2014
    (arXiv 1406.2661), equation 1, written on logits, where -log sigmoid(x) = softplus(-x).
    ``relativistic``: Jolicoeur-Martineau 2018 (arXiv 1807.00734), section 4.1, in pairs, as in
    Huang et al. 2024 (arXiv 2501.05441), section 2.
    """
    if loss == "hinge":
        return relu(1 - real).mean() + relu(1 + fake).mean()
    if loss == "relativistic":
        return softplus(fake - real).mean()
    return softplus(-real).mean() + softplus(fake).mean()


def generator_loss(real: Tensor, fake: Tensor, loss: Loss) -> Tensor:
    """What the generator minimises: -D(G(z)), or for ``bce`` the non-saturating -log D(G(z)).

    ``relativistic`` is the discriminator's own with the roles exchanged; the others look at
    ``fake`` alone.
    """
    if loss == "hinge":
        return -fake.mean()
    if loss == "relativistic":
        return discriminator_loss(fake, real, loss)
    return softplus(-fake).mean()


def accuracies(real: Tensor, fake: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Shares of the real and of the generated images that the discriminator takes for that.

    Of pairs, for ``relativistic``: whatever both logits have in common says nothing.
    """
    if loss == "relativistic":
        told = (real > fake).float().mean()
        return told, told
    return (real > 0).float().mean(), (fake < 0).float().mean()
