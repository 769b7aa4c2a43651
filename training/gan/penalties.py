"""Gradient penalties: what a discriminator pays for its slope at the images that it judges."""

import torch
from torch import Tensor, nn


def gradient_penalty(discriminator: nn.Module, images: Tensor, gamma: float) -> Tensor:
    """gamma/2·E‖∇D(x)‖² over ``images`` ``(n, channels, height, width)``, a scalar.

    Mescheder et al. 2018 (arXiv 1801.04406), equation 9: R1 on real images, R2 on generated ones.
    The images are constants here: the penalty teaches the discriminator alone. All is float32,
    whatever precision surrounds it: the squares of small slopes are lost in bfloat16. With batch
    norm, which lets an image change the logits of its neighbours, the slope is the whole batch's.
    """
    inputs = images.detach().float().requires_grad_()
    with torch.autocast(inputs.device.type, enabled=False):
        logits = discriminator(inputs)
        # An image's logit depends on that image alone, so that the sum's gradient is each one's.
        (slopes,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    penalty: Tensor = gamma / 2 * slopes.square().sum(dim=(1, 2, 3)).mean()
    return penalty
