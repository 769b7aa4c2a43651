"""The score by which ``fit`` selects its best checkpoint."""

import torch
from torch import nn

from app.artifact.card import Latent
from training.config import Config
from training.data.images import ImageSet
from training.errors import EvaluationError
from training.evaluation import distances, feature_file, features
from training.evaluation.features import NetworkSpec
from training.evaluation.references import shuffled
from training.gan.conditional import rows_of
from training.gan.pixels import of_latents, to_pixels
from training.loop.recorder import Score
from training.run.journal import DataSummary

SAMPLES = 5_000
"""Number of generated images for a score, from seed 0 on."""

REAL_IMAGES = 10_000
"""Number of training images that they are compared with: the first ones, of a folder any."""


def scorer(config: Config, image_set: ImageSet, device: torch.device) -> Score:
    """The ``fd_cnn`` of generated images to the training images of ``image_set``, on ``device``.

    ``evaluate`` uses the test images instead: they must judge a checkpoint that was not selected
    by them. Raises EvaluationError if there is no feature network for such images.
    """
    spec, network = _network(config, image_set)
    network = network.to(device)
    pixels = image_set.pixels
    rows_of_real = shuffled(pixels)[:REAL_IMAGES] if config.folder else slice(REAL_IMAGES)
    real = features.extract(network, pixels[rows_of_real], spec).features
    latent = Latent(width=config.latent_dim, prior=config.prior)
    rows = rows_of(range(SAMPLES), latent, DataSummary.of(image_set).sampler)

    def score(generator: nn.Module) -> float:
        fake = of_latents(lambda z: to_pixels(generator, torch.from_numpy(z).to(device)), rows)
        return distances.frechet(real, features.extract(network, fake, spec).features)

    return score


def _network(config: Config, image_set: ImageSet) -> tuple[NetworkSpec, nn.Sequential]:
    """The feature network for ``image_set``. Raises EvaluationError if there is none."""
    shape = image_set.pixels.shape[1:]
    if config.folder and config.feature_file:
        try:
            return feature_file.load(config.feature_file, shape, config.folder)
        except EvaluationError as error:
            raise EvaluationError(f"--score-every {config.score_every}: {error}") from error
    if spec := features.spec_for(image_set.name, shape):
        return spec, features.load(spec)
    raise EvaluationError(
        f"--score-every {config.score_every}: there is no feature network for images of "
        f"{image_set.name} in the shape {shape}"
    )
