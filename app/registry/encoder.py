"""The encoder of a model version in service: from images to latents and conditions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.artifact.card import IMAGES, Card
from app.batching.batcher import Batcher
from app.batching.jobs import Claim
from app.imaging.sheets import Pixels
from app.imaging.uploads import ModelImages, border
from app.latent.conditions import Conditions
from app.latent.sampling import MAX_LATENT, Latents
from app.registry.generator import Generator
from app.registry.queued import Queued

_SEEDS = range(16)
"""The images of these seeds show the background of a model."""


@dataclass(frozen=True)
class EncodedImages:
    """What the encoder finds for n images."""

    latents: Latents
    """``(n, z)``."""
    probabilities: Conditions
    """Of each class or attribute: ``(n, k)``; k is 0 if the generator is unconditional."""
    queue: float
    compute: float
    """Seconds, see ``jobs.Computed``."""


class Encoder(Queued):
    """The encoder of one model version, with its queue."""

    def __init__(self, card: Card, images: ModelImages, batcher: Batcher) -> None:
        """``batcher`` runs an ImageEncoder; ``images`` says what the images of the model are."""
        super().__init__(batcher)
        self.images, self._width = images, card.latent.width

    async def encode(self, pixels: Pixels, claim: Claim, cost: float) -> EncodedImages:
        """The latents and probabilities of uint8 ``(n, height, width, channels)``.

        They are finite, and as large as a request may send them. Raises as ``Queued.compute``.
        """
        computed = await self.compute({IMAGES: pixels}, claim, cost)
        found = latents_and_probabilities(computed.results, self._width)
        return EncodedImages(*found, computed.queue, computed.compute)


def latents_and_probabilities(
    results: NDArray[np.generic], width: int
) -> tuple[Latents, Conditions]:
    """The parts of an ImageEncoder's ``results``: latents ``(n, width)``, probabilities ``(n, k)``.

    They are finite, and as large as a request may send them.
    """
    found = np.nan_to_num(results.astype(np.float32))
    latents, probabilities = np.split(found, [width], axis=1)
    return latents.clip(-MAX_LATENT, MAX_LATENT), probabilities.clip(0, 1)


def squared_errors(images: Pixels, drawn: Pixels) -> NDArray[np.float64]:
    """The mean squared difference of each of n images, in pixels from 0 to 1: ``(n,)``."""
    difference = (images.astype(np.float64) - drawn) / 255
    found: NDArray[np.float64] = np.square(difference).mean(axis=(1, 2, 3)).round(6)
    return found


def images_of(generator: Generator) -> ModelImages:
    """What the images of ``generator`` are: their size, and the usual colour of their border."""
    image = generator.card.image
    pixels = generator.engine(generator.rows_from_seeds([*_SEEDS]))
    edge = border(image.height, image.width)
    background = np.median(pixels[:, edge].reshape(-1, image.channels), axis=0)
    return ModelImages(*image.shape, tuple(int(value) for value in background))
