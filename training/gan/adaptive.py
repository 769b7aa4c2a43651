"""Adaptive discriminator augmentation, ADA (Karras et al. 2020, arXiv 2006.06676).

The discriminator sees real and generated images after ``random_transformations``, each with a
probability p. It rises while the discriminator recognises too many of the real images that it is
trained on, because it then overfits, and falls otherwise.
"""

from typing import Final

import torch
from torch import Tensor, nn

from training.gan.random_transformations import transformed

TARGET: Final = 0.6
"""The aim for the mean sign of the discriminator's logits of real images: section 3."""

INTERVAL: Final = 4
"""Steps between two changes of p: section 3."""

IMAGES: Final = 500_000
"""Real images in which p rises from 0 to 1: section 3."""


class AdaptiveAugmentation(nn.Module):
    """Augments images with the probability p, which is part of its state and starts at 0.

    p is a tensor, so that a captured CUDA graph follows it, and no step waits for its value.
    """

    probability: Tensor
    """p, float32 ``(1,)``."""
    accuracies: Tensor
    """The sum of the accuracies since p was last changed, float32 ``(1,)``."""

    def __init__(self, batch_size: int) -> None:
        """For steps on ``batch_size`` real images, those of all processes together."""
        super().__init__()
        self._change = batch_size * INTERVAL / IMAGES
        for name in ("probability", "accuracies"):
            self.register_buffer(name, torch.zeros(1))

    def augmented(self, images: Tensor) -> Tensor:
        """``images`` ``(n, channels, height, width)``, augmented, in float32."""
        return transformed(images, self.probability)

    def observe(self, accuracy: Tensor) -> None:
        """Note a step in which so large a share of the real images, a scalar, was recognised.

        With the relativistic loss, where the sign of a single logit means nothing, it is the share
        of pairs in the correct order, as in the code of Huang et al. 2024 (arXiv 2501.05441).
        """
        self.accuracies.add_(accuracy)

    def end_step(self, step: int) -> None:
        """Change p if ``step``, the number of steps done, is a multiple of ``INTERVAL``.

        A share of right signs of a means a mean sign of 2a - 1. The paper bounds p by 0 alone; here
        it remains a probability.
        """
        if step % INTERVAL:
            return
        mean_sign = 2 * self.accuracies / INTERVAL - 1
        self.probability.add_(self._change * (mean_sign - TARGET).sign()).clamp_(0, 1)
        self.accuracies.zero_()
