"""The score by which ``fit`` keeps its best checkpoint."""

from collections.abc import Callable

import torch
from torch import nn

from app.artifact.card import Latent
from training.config import Config
from training.data.images import ImageSet
from training.errors import EvaluationError
from training.evaluation import distances, features
from training.evaluation.features import SHIPPED
from training.gan.pixels import of_seeds, to_pixels

SAMPLES = 5_000
"""Images that are drawn for a score: the seeds from 0 on."""

REAL = 10_000
"""Training images that they are compared with, the first of them."""

Score = Callable[[nn.Module], float]
"""A finished generator to its score; less is better. It draws no random numbers."""


def scorer(config: Config, image_set: ImageSet, device: torch.device) -> Score:
    """``fd_cnn`` of a generator's images, on ``device``, to the training images of ``image_set``.

    Training images and not, as in ``evaluate``, the test images: those shall judge a checkpoint
    that was not chosen by them. Raises EvaluationError where no feature network is for such images.
    """
    shipped = SHIPPED.get(image_set.name)
    if shipped is None or shipped.image_shape != image_set.pixels.shape[1:]:
        raise EvaluationError(
            f"--score-every {config.score_every}: there is no feature network for images of "
            f"{image_set.name} in the shape {image_set.pixels.shape[1:]}"
        )
    network = features.load(shipped).to(device)
    real = features.features(network, image_set.pixels[:REAL], shipped).features

    latent = Latent(width=config.latent_dim, prior=config.prior)

    def score(generator: nn.Module) -> float:
        fake = of_seeds(
            lambda z: to_pixels(generator, torch.from_numpy(z).to(device)), range(SAMPLES), latent
        )
        return distances.frechet(real, features.features(network, fake, shipped).features)

    return score
