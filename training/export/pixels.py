"""What the exported graph computes, in PyTorch: the reference that it is checked against."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.images import Pixels
from app.latents import Latents, Prior, from_seeds

_BATCH = 500


def to_pixels(generator: nn.Module, latents: Tensor) -> Pixels:
    """Latents ``(n, z)`` to uint8 ``(n, height, width, channels)``: -1…1 becomes 0…255."""
    with torch.no_grad():
        images: Tensor = generator(latents)  # (n, channels, height, width)
    scaled = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def of_seeds(
    draw: Callable[[Latents], Pixels], count: int, latent_dim: int, prior: Prior
) -> NDArray[np.uint8]:
    """What ``draw`` draws of the seeds 0 to ``count - 1``: uint8 ``(count, c, h, w)``."""
    drawn = [
        draw(from_seeds(range(start, min(start + _BATCH, count)), latent_dim, prior))
        for start in range(0, count, _BATCH)
    ]
    return np.concatenate(drawn).transpose(0, 3, 1, 2)
