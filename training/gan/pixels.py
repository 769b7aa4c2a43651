"""Pixels 0…255 and the images of the networks, from -1 to 1, in both directions.

An exported graph is checked against the pixels that ``to_pixels`` gives.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.artifact.card import Latent
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents, from_seeds

Track = Callable[[range], Iterable[int]]
"""Passes the numbers of batches on, and may show the progress; ``iter`` does not."""

BATCH = 100
"""Images in a batch outside training. With their maps, those of 256×256 take a gigabyte."""


def scaled(pixels: Tensor) -> Tensor:
    """``pixels`` 0…255, of any type, as float32 from -1 to 1."""
    return pixels.float() / 127.5 - 1


def to_pixels(generator: nn.Module, latents: Tensor) -> Pixels:
    """The images of ``latents`` ``(n, z)``, uint8 ``(n, height, width, channels)``.

    The generator's range from -1 to 1 becomes 0 to 255.
    """
    with torch.no_grad():
        return np.concatenate([_pixels(generator(batch)) for batch in torch.split(latents, BATCH)])


def _pixels(images: Tensor) -> Pixels:
    """``images`` ``(n, channels, height, width)`` as pixels."""
    whole = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: Pixels = whole.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def of_latents(
    draw: Callable[[Latents], Pixels], latents: Latents, track: Track = iter
) -> NDArray[np.uint8]:
    """The images that ``draw`` generates from ``latents`` ``(n, z)``: uint8 ``(n, c, h, w)``.

    ``draw`` is called with batches of at most ``BATCH`` latents.
    """
    starts = range(0, len(latents), BATCH)
    batches = [draw(latents[start : start + BATCH]) for start in track(starts)]
    return np.concatenate(batches).transpose(0, 3, 1, 2)


def of_seeds(
    draw: Callable[[Latents], Pixels], seeds: Sequence[int], latent: Latent
) -> NDArray[np.uint8]:
    """The images that ``draw`` generates from ``seeds``: uint8 ``(len(seeds), c, h, w)``."""
    return of_latents(draw, from_seeds(seeds, latent.width, latent.prior))
