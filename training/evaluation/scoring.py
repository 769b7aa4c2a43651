"""The score by which ``fit`` selects its best checkpoint."""

import torch
from torch import nn

from app.artifact.card import Latent
from training.config import Config
from training.data.images import ImageSet
from training.errors import EvaluationError
from training.evaluation import distances, features
from training.gan.conditional import rows_of
from training.gan.pixels import of_latents, to_pixels
from training.loop.recorder import Score
from training.run.journal import DataSummary

SAMPLES = 5_000
"""Number of generated images for a score, from seed 0 on."""

REAL_IMAGES = 10_000
"""Number of training images that they are compared with: the first ones."""


def scorer(config: Config, image_set: ImageSet, device: torch.device) -> Score:
    """The ``fd_cnn`` of generated images to the training images of ``image_set``, on ``device``.

    ``evaluate`` uses the test images instead: they must judge a checkpoint that was not selected
    by them. Raises EvaluationError if there is no feature network for such images.
    """
    spec = features.spec_for(image_set.name, image_set.pixels.shape[1:])
    if spec is None:
        raise EvaluationError(
            f"--score-every {config.score_every}: there is no feature network for images of "
            f"{image_set.name} in the shape {image_set.pixels.shape[1:]}"
        )
    network = features.load(spec).to(device)
    real = features.extract(network, image_set.pixels[:REAL_IMAGES], spec).features
    latent = Latent(width=config.latent_dim, prior=config.prior)
    rows = rows_of(range(SAMPLES), latent, DataSummary.of(image_set).sampler)

    def score(generator: nn.Module) -> float:
        fake = of_latents(lambda z: to_pixels(generator, torch.from_numpy(z).to(device)), rows)
        return distances.frechet(real, features.extract(network, fake, spec).features)

    return score
