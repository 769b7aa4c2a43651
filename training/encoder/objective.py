"""The distance of reconstructions, which encoders and the direct optimisation minimise."""

import torch
from torch import Tensor

from app.latent.sampling import VARIANCE
from training.encoder.subject import Subject
from training.gan.conditional import input_rows
from training.gan.hardware import autocast

PIXELS, FEATURES, LATENTS, PRIOR = 10.0, 1.0, 1.0, 1.0
"""Weights of the terms."""


def probabilities(logits: Tensor, exclusive: bool) -> Tensor:
    """The probability of each class, which sum to one, or of each attribute: ``(n, k)``."""
    return logits.softmax(dim=1) if exclusive else logits.sigmoid()


class Reconstruction:
    """The distance between images and what the generator makes of latents."""

    def __init__(self, subject: Subject, images: Tensor) -> None:
        """Compare with ``images`` ``(n, c, h, w)`` in [-1, 1]."""
        self._subject, self._images = subject, images
        with torch.no_grad(), autocast(subject.device, "auto"):
            self._features = subject.features(images).float() if subject.features else None

    def loss(self, latents: Tensor, conditions: Tensor | None) -> Tensor:
        """The weighted distances in pixels and in features, of each image: ``(n,)``.

        Latents longer than those of the prior add to it: the generator has hardly seen such ones.
        """
        subject = self._subject
        with autocast(subject.device, "auto"):
            drawn = subject.generator(input_rows(latents, conditions))
            loss = PIXELS * _distance(drawn, self._images)
            if subject.features is not None and self._features is not None:
                loss = loss + FEATURES * _distance(subject.features(drawn), self._features)
        excess = latents.square().mean(dim=1) - VARIANCE[subject.model.latent.prior]
        return loss + PRIOR * excess.relu()


def _distance(found: Tensor, true: Tensor) -> Tensor:
    """The mean squared difference of each image, or of its features: ``(n,)``."""
    return (found.float() - true).square().flatten(1).mean(dim=1)
