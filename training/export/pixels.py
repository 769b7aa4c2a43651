"""What the exported graph computes, in PyTorch: the reference that it is checked against."""

import torch
from torch import Tensor, nn

from app.images import Pixels


def to_pixels(generator: nn.Module, latents: Tensor) -> Pixels:
    """Latents ``(n, z)`` to uint8 ``(n, height, width, channels)``: -1…1 becomes 0…255."""
    with torch.no_grad():
        images: Tensor = generator(latents)  # (n, channels, height, width)
    scaled = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = scaled.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
