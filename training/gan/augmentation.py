"""Differentiable augmentation (Zhao et al. 2020, arXiv 2006.10738, section 3).

The discriminator sees real and generated images through the same random transformations, and the
generator's gradients pass through them. With few training images, the discriminator then cannot
memorise them, and the generator does not learn the transformations.

All functions take and return float images ``(n, channels, height, width)`` of about -1 to 1. They
draw random numbers for each image from the default generator of the images' device.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

MAX_SHIFT = 1 / 8
"""The largest translation, as a share of the image's size."""

HOLE = 1 / 2
"""Height and width of a cutout, as a share of the image's."""


def augmented(images: Tensor, policy: tuple[str, ...]) -> Tensor:
    """``images`` after the transformations that ``policy`` names, in its order, in float32.

    With an empty policy, ``images`` itself.
    """
    if policy:
        images = images.float()  # so that real and generated images are rounded in the same way
    for name in policy:
        images = _TRANSFORMATIONS[name](images)
    return images


def mirrored(images: Tensor) -> Tensor:
    """Each image with probability 1/2 mirrored, left to right.

    Used for real images alone, where a mirrored image is as realistic as the original. It is not
    part of DiffAugment.
    """
    return torch.where(_random(images) < 0.5, images.flip(3), images)


def color(images: Tensor) -> Tensor:
    """Random brightness (±0.5), saturation (factor 0 to 2) and contrast (factor 0.5 to 1.5).

    Grey images have no saturation.
    """
    images = images + _random(images) - 0.5
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * 2 * _random(images)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + _random(images))


def translation(images: Tensor) -> Tensor:
    """A shift by up to ``MAX_SHIFT`` in both directions, filled with zeros, a middle grey."""
    count, channels, height, width = images.shape
    rows, columns = (round(size * MAX_SHIFT) for size in (height, width))
    padded = pad(images, (columns, columns, rows, rows))
    # No source pixel is gathered twice, so its gradient is not a sum in an undefined order.
    down = _window(count, height, rows, images)[:, None, :, None]
    padded = padded.gather(2, down.expand(-1, channels, -1, padded.shape[3]))
    across = _window(count, width, columns, images)[:, None, None, :]
    return padded.gather(3, across.expand(-1, channels, height, -1))


def cutout(images: Tensor) -> Tensor:
    """A hole of zeros, ``HOLE`` of the image's height and width.

    Its centre may be any pixel, so its edges may lie outside the image (DeVries and Taylor 2017,
    arXiv 1708.04552, section 3.2). Otherwise every hole would cover the image's centre.
    """
    count, _, height, width = images.shape
    rows, columns = (_hole(count, size, images) for size in (height, width))
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


_TRANSFORMATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def _random(images: Tensor) -> Tensor:
    """A random number in [0, 1) for each image, ``(n, 1, 1, 1)``."""
    return torch.rand(len(images), 1, 1, 1, device=images.device)


def _window(count: int, size: int, shift: int, images: Tensor) -> Tensor:
    """For each image, ``size`` successive indices below ``size + 2 * shift``, ``(count, size)``."""
    first = torch.randint(0, 2 * shift + 1, (count, 1), device=images.device)
    return first + torch.arange(size, device=images.device)


def _hole(count: int, size: int, images: Tensor) -> Tensor:
    """For each image, which of ``size`` indices a hole covers: bool ``(count, size)``."""
    extent = round(size * HOLE)
    first = torch.randint(0, size, (count, 1), device=images.device) - extent // 2
    places = torch.arange(size, device=images.device)
    return (places >= first) & (places < first + extent)
