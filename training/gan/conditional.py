"""Conditional networks: the generator's input, and a discriminator of images with conditions.

A condition is the class or the attributes of an image: float32 ``(k,)``, as in
``app.latent.conditions``.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm as normalise

from app.artifact.card import Latent
from app.latent import sampling
from app.latent.conditions import AttributeSampler, Conditions, Sampler

Rows = NDArray[np.float32]
"""Inputs of a generator in PyTorch: latents, each followed by its condition: ``(n, z + k)``."""

SHEET_COLUMNS = 8
"""Images in a row of a sheet."""
_SHEET_ROWS = 8
_MOST_CLASSES = 16
"""Most classes on a sheet."""


class Projection(nn.Module):
    """A projection discriminator (Miyato and Koyama 2018, arXiv 1802.05637, equation 3).

    The logit is that of the unconditional discriminator, plus the inner product of the image's
    features with an embedding of its condition.
    """

    def __init__(self, plain: nn.Sequential, conditions: int, spectral_norm: bool) -> None:
        """``plain`` is the unconditional discriminator, whose last layer gives the logit."""
        super().__init__()
        *features, output = plain
        if not isinstance(output, nn.Linear):
            raise TypeError(f"the last layer must be linear, got {output}")
        self.features = nn.Sequential(*features)
        self.output = output
        self.embedding = nn.Linear(conditions, output.in_features, bias=False)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)
        if spectral_norm:
            normalise(self.embedding)

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """The logits ``(n, 1)`` of ``images`` ``(n, c, h, w)`` with ``conditions`` ``(n, k)``."""
        features: Tensor = self.features(images)
        projected = (self.embedding(conditions) * features).sum(dim=1, keepdim=True)
        logits: Tensor = self.output(features) + projected
        return logits


def input_rows(latents: Tensor, conditions: Tensor | None) -> Tensor:
    """The generator's input: each latent, followed by its condition: ``(n, z + k)``."""
    return latents if conditions is None else torch.cat([latents, conditions], dim=1)


def rows_of(seeds: Sequence[int], latent: Latent, sampler: Sampler | None) -> Rows:
    """The generator's inputs of ``seeds``: ``(len(seeds), z + k)``.

    With a ``sampler``, each latent is followed by the class or the attributes of its seed.
    """
    latents = sampling.from_seeds(seeds, latent.width, latent.prior)
    return np.hstack([latents, sampler.from_seeds(seeds)]) if sampler else latents


def sheet_rows(latent: Latent, sampler: Sampler | None) -> Rows:
    """The generator's inputs for a sheet of samples, in rows of ``SHEET_COLUMNS``.

    With classes, each row of the sheet shows one class, each column one latent. Otherwise the
    images are those of the seeds 0 to 63.
    """
    if sampler is None or isinstance(sampler, AttributeSampler):
        return rows_of(range(_SHEET_ROWS * SHEET_COLUMNS), latent, sampler)
    latents = sampling.from_seeds(range(SHEET_COLUMNS), latent.width, latent.prior)
    conditions: Conditions = np.eye(len(sampler.names), dtype=np.float32)[:_MOST_CLASSES]
    tiled = np.tile(latents, (len(conditions), 1))
    return np.hstack([tiled, conditions.repeat(SHEET_COLUMNS, axis=0)])
