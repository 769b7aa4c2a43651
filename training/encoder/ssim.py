"""Structural similarity (Wang et al. 2004, "Image quality assessment", section III)."""

import torch
from torch import Tensor
from torch.nn import functional

_SIZE, _SIGMA = 11, 1.5
"""Of the Gaussian window."""
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """The mean SSIM of each pair of images ``(n, c, h, w)`` with values 0…255: ``(n,)``.

    Smaller images than the window, 11×11, have one of their own size.
    """
    channels, *size = first.shape[1:]
    a, b = first.double(), second.double()
    window = _window(size).to(a).expand(channels, 1, -1, -1)

    def local(values: Tensor) -> Tensor:
        return functional.conv2d(values, window, groups=channels)

    mean_a, mean_b = local(a), local(b)
    variances = local(a * a) - mean_a**2 + local(b * b) - mean_b**2
    covariance = local(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + _C1) * (2 * covariance + _C2)
    found = similar / ((mean_a**2 + mean_b**2 + _C1) * (variances + _C2))
    return found.flatten(1).mean(dim=1)


def _window(size: list[int]) -> Tensor:
    """A Gaussian that sums to 1, of at most ``size``: ``(h, w)``."""
    sides = []
    for length in (min(_SIZE, side) for side in size):
        distances = torch.arange(length) - (length - 1) / 2
        sides.append(torch.exp(-(distances**2) / (2 * _SIGMA**2)))
    window = torch.outer(*sides)
    return window / window.sum()
