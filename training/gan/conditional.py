"""Conditional networks: the generator's input, and a discriminator of images with conditions.

A condition is the class or the attributes of an image: float32 ``(k,)``, as in
``app.latent.conditions``.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

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


class Judgement(NamedTuple):
    """What a discriminator says about ``n`` images."""

    logits: Tensor
    """``(n, 1)``, positive for real images."""
    predictions: Tensor | None = None
    """Logits of the images' conditions, ``(n, k)``; None from an unconditional discriminator."""

    def halves(self) -> tuple["Judgement", "Judgement"]:
        """What it says about the first half of the images, and about the second."""
        logits = self.logits.chunk(2)
        if self.predictions is None:
            return Judgement(logits[0]), Judgement(logits[1])
        predictions = self.predictions.chunk(2)
        return Judgement(logits[0], predictions[0]), Judgement(logits[1], predictions[1])


class Projection(nn.Module):
    """A projection discriminator with an auxiliary classifier.

    The logit is that of the unconditional discriminator, plus the inner product of the image's
    features with an embedding of its condition (Miyato and Koyama 2018, arXiv 1802.05637, equation
    3). A linear layer on the same features predicts the condition (Odena et al. 2017, arXiv
    1610.09585). These features are the last feature maps, each added up over the image and divided
    by the root of its area, so that a map of independent values keeps its variance.
    """

    def __init__(self, plain: nn.Sequential, conditions: int, spectral_norm: bool) -> None:
        """``plain`` is the unconditional discriminator, which ends in a dense layer.

        Raises TypeError if it ends otherwise.
        """
        super().__init__()
        *maps, flatten, output = plain
        if not (isinstance(flatten, nn.Flatten) and isinstance(output, nn.Linear)):
            raise TypeError(f"the last layers must be Flatten and Linear, got {flatten}, {output}")
        self.maps = nn.Sequential(*maps)
        self.output = output
        channels = [layer for layer in maps if isinstance(layer, nn.Conv2d)][-1].out_channels
        self.embedding = nn.Linear(conditions, channels, bias=False)
        self.classifier = nn.Linear(channels, conditions)
        for layer in (self.embedding, self.classifier):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if spectral_norm:
                normalise(layer)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """The logits ``(n, 1)`` of ``images`` ``(n, c, h, w)`` with ``conditions`` ``(n, k)``."""
        return self.judge(images, conditions).logits

    def judge(self, images: Tensor, conditions: Tensor) -> Judgement:
        """The logits of ``images`` as by ``forward``, and what their conditions seem to be."""
        maps: Tensor = self.maps(images)
        features = maps.sum(dim=(2, 3)) / math.sqrt(maps.shape[2] * maps.shape[3])
        projected = (self.embedding(conditions) * features).sum(dim=1, keepdim=True)
        return Judgement(self.output(maps.flatten(1)) + projected, self.classifier(features))


def judge(discriminator: nn.Module, images: Tensor, conditions: Tensor | None) -> Judgement:
    """What ``discriminator`` says about ``images``; with ``conditions`` it is a ``Projection``."""
    if conditions is not None and isinstance(discriminator, Projection):
        return discriminator.judge(images, conditions)
    return Judgement(discriminator(images))


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
