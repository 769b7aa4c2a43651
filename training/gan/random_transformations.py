"""Random transformations of images, each with a given probability.

Those of Karras et al. 2020 (arXiv 2006.06676), appendix B, that section 2.3 chooses: pixel
blitting, geometry and colour. Here all geometry is one bilinear sampling, without the paper's
wavelet filters. As images also appear untransformed, generated ones do not show the transformations
while the probability is below 0.8 or so: section 2.2.
"""

import math
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

MAX_SHIFT = 0.125
"""The largest shift by whole pixels, as a share of the image's size."""
SHIFT_DEVIATION = 0.125
"""Standard deviation of the shift by fractions of pixels, as a share of the image's size."""
SCALE_DEVIATION = 0.2
"""Standard deviation of the binary logarithm of the scale, and of the stretch."""
BRIGHTNESS_DEVIATION = 0.2
"""Standard deviation of the brightness, for pixels from -1 to 1."""
CONTRAST_DEVIATION = 0.5
"""Standard deviation of the binary logarithm of the contrast."""
SATURATION_DEVIATION = 1.0
"""Standard deviation of the binary logarithm of the saturation."""


def transformed(images: Tensor, probability: Tensor) -> Tensor:
    """``images`` ``(n, channels, height, width)`` of about -1 to 1, transformed, in float32.

    Each image gets each transformation with ``probability``, a tensor ``(1,)`` on their device; at
    0 no image changes. Random numbers are drawn from the default generator of the device.
    """
    with torch.autocast(images.device.type, enabled=False):  # bfloat16 is too coarse for places
        return recoloured(moved(images.float(), probability), probability)


def moved(images: Tensor, probability: Tensor) -> Tensor:
    """Float32 ``images`` mirrored, turned, scaled, rotated, stretched and shifted.

    What comes from outside of an image is its reflection.
    """
    motions = _motions(images, probability)
    grid = affine_grid(motions, list(images.shape), align_corners=False)
    sampled = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    still = (motions == torch.eye(2, 3, device=images.device)).flatten(1).all(dim=1)
    return torch.where(still[:, None, None, None], images, sampled)


def recoloured(images: Tensor, probability: Tensor) -> Tensor:
    """Float32 ``images`` with another brightness and contrast, or inverted.

    Colour images also get another hue and saturation.
    """
    shape = (len(images), 1, 1, 1)
    normal, uniform = (
        partial(draw, shape, device=images.device) for draw in (torch.randn, torch.rand)
    )
    images = images + _some(BRIGHTNESS_DEVIATION * normal(), 0, probability)
    images = images * _some(torch.exp2(CONTRAST_DEVIATION * normal()), 1, probability)
    images = images - 2 * _some((2 * uniform()).floor(), 0, probability) * _grey(images)
    if images.shape[1] == 1:
        return images
    hue = _some(math.tau * uniform(), 0, probability)
    images = images + (hue.cos() - 1) * _colour(images) + hue.sin() * _across(images)
    saturation = _some(torch.exp2(SATURATION_DEVIATION * normal()), 1, probability)
    return images + (saturation - 1) * _colour(images)


def _motions(images: Tensor, probability: Tensor) -> Tensor:
    """For each image, where its pixels come from: ``(n, 2, 3)``, as ``affine_grid`` takes it."""
    count, _, height, width = images.shape
    normal, uniform = (
        partial(draw, count, device=images.device) for draw in (torch.randn, torch.rand)
    )
    rotating = 1 - (1 - probability).sqrt()  # at least one of two rotations has ``probability``
    side = 1 - 2 * _some((2 * uniform()).floor(), 0, probability)
    scale, stretch = (
        _some(torch.exp2(SCALE_DEVIATION * normal()), 1, probability) for _ in range(2)
    )
    first, second = (_some(math.tau * uniform(), 0, rotating) for _ in range(2))
    linear = (
        _scaling(side, torch.ones_like(side))
        @ _rotation(math.pi / 2 * _some((4 * uniform()).floor(), 0, probability))
        @ _scaling(scale, scale)
        @ _rotation(first)
        @ _scaling(stretch, 1 / stretch)
        @ _rotation(second)
    )
    (right, down), (further_right, further_down) = (
        _some(shares, 0, probability).unbind(dim=1)
        for shares in (MAX_SHIFT * (2 * uniform(2) - 1), SHIFT_DEVIATION * normal(2))
    )
    x = 2 * ((right * width).round() / width + further_right)
    y = 2 * ((down * height).round() / height + further_down)
    (xx, xy), (yx, yy) = (row.unbind(dim=1) for row in linear.unbind(dim=1))
    # Places range from -1 to 1 in both directions, whatever the height and the width.
    rows = [xx, xy * height / width, x, yx * width / height, yy, y]
    return torch.stack(rows, dim=1).view(count, 2, 3)


def _some(values: Tensor, neutral: float, probability: Tensor) -> Tensor:
    """``values`` ``(n, …)``, each row with ``probability``, else ``neutral``."""
    kept = torch.rand(len(values), device=values.device) >= probability
    return values.masked_fill(kept.view(-1, *[1] * (values.dim() - 1)), neutral)


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    """Matrices ``(n, 2, 2)`` from factors ``(n,)``."""
    return torch.diag_embed(torch.stack([x, y], dim=1))


def _rotation(angle: Tensor) -> Tensor:
    """Matrices ``(n, 2, 2)`` from angles ``(n,)``, in radians."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], dim=1).view(-1, 2, 2)


def _grey(images: Tensor) -> Tensor:
    """The greys of ``images``, ``(n, 1, height, width)``."""
    return images.mean(dim=1, keepdim=True)


def _colour(images: Tensor) -> Tensor:
    """What distinguishes ``images`` from their greys."""
    return images - _grey(images)


def _across(images: Tensor) -> Tensor:
    """The colours of ``images`` turned by a right angle around the axis of greys.

    That is the cross product of (1, 1, 1) / √3 with the colours.
    """
    return (images.roll(1, dims=1) - images.roll(-1, dims=1)) / math.sqrt(3)
