"""Differentiable augmentation (Zhao et al. 2020, arXiv 2006.10738, section 3).

The discriminator sees real and generated images through the same random changes, and the
generator's gradients pass through them: with few images, the discriminator cannot learn them by
heart, and the generator does not learn the changes.

All functions take and give float images ``(n, channels, height, width)`` in about [-1, 1] and draw
their random numbers, for each image its own, from the default generator of the images' device.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

REACH = 1 / 8
"""Of a translation, as a share of the image's size."""

HOLE = 1 / 2
"""Height and width of a cutout, as a share of the image's."""


def augmented(images: Tensor, policy: tuple[str, ...]) -> Tensor:
    """``images`` after each change that ``policy`` names, in that order, in float32."""
    if policy:
        images = images.float()  # so that real and generated ones are rounded alike
    for name in policy:
        images = _CHANGES[name](images)
    return images


def mirrored(images: Tensor) -> Tensor:
    """Each image as it is or, as often, with left and right exchanged.

    For real images alone, where a mirrored one is as real as any: no change of DiffAugment's.
    """
    return torch.where(_random(images) < 0.5, images.flip(3), images)


def color(images: Tensor) -> Tensor:
    """Other brightness (by up to 0.5), saturation (up to double) and contrast (up to half more).

    Grey images have no saturation.
    """
    images = images + _random(images) - 0.5
    if images.shape[1] > 1:
        grey = images.mean(dim=1, keepdim=True)
        images = grey + (images - grey) * 2 * _random(images)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (0.5 + _random(images))


def translation(images: Tensor) -> Tensor:
    """Moved by up to ``REACH`` up or down and left or right; zeros, a middle grey, fill."""
    count, channels, height, width = images.shape
    rows, columns = (round(size * REACH) for size in (height, width))
    padded = pad(images, (columns, columns, rows, rows))
    # Each source pixel is gathered at most once, so that its gradient is no sum whose order counts.
    down = _window(count, height, rows, images)[:, None, :, None]
    padded = padded.gather(2, down.expand(-1, channels, -1, padded.shape[3]))
    across = _window(count, width, columns, images)[:, None, None, :]
    return padded.gather(3, across.expand(-1, channels, height, -1))


def cutout(images: Tensor) -> Tensor:
    """With a hole of zeros of ``HOLE`` their height and width.

    Its middle is anywhere in the image and its edges may lie outside (DeVries and Taylor 2017,
    arXiv 1708.04552, section 3.2): else no hole would spare the middle of the image.
    """
    count, _, height, width = images.shape
    rows, columns = (_hole(count, size, images) for size in (height, width))
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


_CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def _random(images: Tensor) -> Tensor:
    """A number in [0, 1) for each image, ``(n, 1, 1, 1)``."""
    return torch.rand(len(images), 1, 1, 1, device=images.device)


def _window(count: int, size: int, reach: int, images: Tensor) -> Tensor:
    """``size`` successive places out of ``size + 2 * reach``, ``(count, size)``."""
    first = torch.randint(0, 2 * reach + 1, (count, 1), device=images.device)
    return first + torch.arange(size, device=images.device)


def _hole(count: int, size: int, images: Tensor) -> Tensor:
    """Which of ``size`` places a hole around a random one of them covers, ``(count, size)``."""
    extent = round(size * HOLE)
    first = torch.randint(0, size, (count, 1), device=images.device) - extent // 2
    places = torch.arange(size, device=images.device)
    return (places >= first) & (places < first + extent)
