"""Gradient penalties on a discriminator's slope at the images that it classifies."""

import torch
from torch import Tensor, nn


def gradient_penalty(
    discriminator: nn.Module, images: Tensor, gamma: float, conditions: Tensor | None = None
) -> Tensor:
    """gamma/2·E‖∇D(x)‖² over ``images`` ``(n, channels, height, width)``, a scalar.

    A conditional discriminator also takes the images' ``conditions`` ``(n, k)``.

    Mescheder et al. 2018 (arXiv 1801.04406), equation 9: R1 on real images, R2 on generated ones.
    The images are treated as constants, so the penalty trains only the discriminator. It is
    computed in float32 even inside autocast, because bfloat16 loses the squares of small slopes.
    With batch norm, where an image changes the logits of the others in its batch, the slope is that
    of the whole batch.
    """
    inputs = images.detach().float().requires_grad_()
    with torch.autocast(inputs.device.type, enabled=False):
        logits = discriminator(inputs, *(() if conditions is None else (conditions,)))
        # Without batch norm, a logit depends on its own image alone. The gradient of the sum
        # therefore holds the gradient of each logit.
        (slopes,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    penalty: Tensor = gamma / 2 * slopes.square().sum(dim=(1, 2, 3)).mean()
    return penalty
