"""Rotation prediction: learns features of images that have no labels.

A network tells by how many quarter turns an image is rotated (Gidaris et al. 2018, arXiv
1803.07728), for which it must know what the images show. Images are also shifted. Features of
images without a right way up learn less: the check of ``features`` then says so. Images that are
not square are turned by half turns alone, which keep their shape. ``training/RESULTS.md`` compares
other features.
"""

import torch
from torch import Tensor

from training.gan.augmentation import augmented

ROTATIONS = 4
"""Number of classes: 0, 1, 2 or 3 quarter turns."""


def rotated(images: Tensor) -> tuple[Tensor, Tensor]:
    """``images`` ``(n, c, h, w)``, shifted and rotated at random, and their turns ``(n,)``.

    The shifts are those of differentiable augmentation (Zhao et al. 2020).
    """
    count, _, height, width = images.shape
    step = 1 if height == width else 2
    choices = torch.randint(0, ROTATIONS // step, (count,), device=images.device)
    shifted = augmented(images, ("translation",))
    each = torch.stack([torch.rot90(shifted, turn, (2, 3)) for turn in range(0, ROTATIONS, step)])
    return each[choices, torch.arange(count, device=images.device)], step * choices
