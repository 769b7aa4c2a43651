"""Adversarial losses: pure functions of float32 logits ``(n, 1)``, positive for real images.

The relativistic loss compares pairs of one real and one generated image, row by row. It depends
only on the difference of their logits: the image with the larger logit counts as real.
"""

from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    relu,
    softplus,
)

from training.config import Loss


def discriminator_loss(real: Tensor, fake: Tensor, loss: Loss) -> Tensor:
    """The loss that the discriminator minimises, a scalar.

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
    """The loss that the generator minimises, a scalar.

    ``hinge``: -D(G(z)). ``bce``: the non-saturating -log D(G(z)). ``relativistic``: the
    discriminator's loss with the roles exchanged. Only ``relativistic`` uses ``real``.
    """
    if loss == "hinge":
        return -fake.mean()
    if loss == "relativistic":
        return discriminator_loss(fake, real, loss)
    return softplus(-fake).mean()


def auxiliary_loss(predictions: Tensor, conditions: Tensor, exclusive: bool) -> Tensor:
    """The loss of ``predictions``, logits ``(n, k)``, of the images' ``conditions``, a scalar.

    The cross-entropy of classes if they are ``exclusive``, else the mean over the attributes of
    their binary cross-entropies. Odena et al. 2017 (arXiv 1610.09585), section 3, but the
    discriminator minimises it on real images alone, the generator on its own.
    """
    if exclusive:
        return cross_entropy(predictions, conditions)
    return binary_cross_entropy_with_logits(predictions, conditions)


def accuracies(real: Tensor, fake: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """The shares of real and of generated images that the discriminator classifies correctly.

    For ``relativistic``, both are the share of pairs in the correct order, because the sign of a
    single logit means nothing.
    """
    if loss == "relativistic":
        correct = (real > fake).float().mean()
        return correct, correct
    return (real > 0).float().mean(), (fake < 0).float().mean()
