"""What is measured: a run's averaged generator, or the graph of a version that is served."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.artifact import card
from app.artifact.card import CardError, Directions, Latent
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.latent.sampling import Latents
from app.runtime.cpus import available
from training.config import CheckpointChoice
from training.errors import EvaluationError
from training.evaluation import edits_record
from training.evaluation.options import Precision, Provider
from training.export.runtime import onnxruntime, run
from training.gan.gan import Gan
from training.gan.pixels import of_seeds, to_pixels
from training.loop import checkpoint
from training.run.journal import Run


@dataclass(frozen=True)
class Subject:
    """Something that draws images."""

    title: str
    dataset: str
    """Which it learned from."""
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    latent: Latent
    draw: Callable[[Latents], Pixels]
    step: int | None = None
    """Of a run's checkpoint."""
    generator: nn.Module | None = None
    """What draws, of a run: latents ``(n, width)`` to images ``(n, c, h, w)`` in [-1, 1]."""
    directions: Directions | None = None
    """Along which its images can be edited, where they are known."""
    discriminator: nn.Module | None = None
    """A run's, in eval mode, if it judges single images."""

    def latents(self, seeds: Sequence[int]) -> Latents:
        """The latents of ``seeds``, as this generator takes them."""
        return sampling.from_seeds(seeds, self.latent.width, self.latent.prior)

    def images(self, count: int, seed: int = 0) -> NDArray[np.uint8]:
        """The images of ``count`` seeds from ``seed`` on: uint8 ``(count, c, h, w)``."""
        return of_seeds(self.draw, sampling.consecutive(seed, count), self.latent)


def find(
    folder: Path,
    device: torch.device,
    which: CheckpointChoice | None = None,
    provider: Provider = "cpu",
    precision: Precision = "fp32",
) -> Subject:
    """The subject in ``folder``: a run, which computes on ``device``, or a published version.

    Of a run, the checkpoint that ``which`` says; a version is drawn by ``provider``. Raises
    EvaluationError for a folder that is neither, a version if ``which`` is given, or a provider
    that does not run; RunError for a run that cannot be read.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: there is no such folder")
    if (folder / card.CARD_FILE).exists():
        if which:
            raise EvaluationError(f"{folder}: is a published version, without --checkpoint {which}")
        return _version(folder, provider, precision)
    run = Run(folder)
    if not run.options.exists():
        raise EvaluationError(
            f"{folder}: is neither a run, with {run.options.name}, "
            f"nor a published version, with {card.CARD_FILE}"
        )
    return of_run(run, device, which)


def of_run(run: Run, device: torch.device, which: CheckpointChoice | None = None) -> Subject:
    """The averaged generator of ``run``. Raises RunError for one that cannot be read."""
    config, data = run.config(), run.data()
    gan = Gan(config, data.shape, device)
    gan.load_state_dict(checkpoint.load(run.chosen_checkpoint(which)))
    generator = gan.averaged_generator()
    return Subject(
        title=str(run.folder),
        dataset=data.name,
        image_shape=data.shape,
        latent=Latent(width=config.latent_dim, prior=config.prior),
        draw=lambda z: to_pixels(generator, torch.from_numpy(z).to(device)),
        step=gan.step,
        generator=generator,
        directions=edits_record.directions_of(run, gan.step),
        # A relativistic one compares two images; the sign of a single logit means nothing.
        discriminator=None if config.loss == "relativistic" else gan.discriminator.eval(),
    )


def _version(folder: Path, provider: Provider, precision: Precision) -> Subject:
    folder = folder.resolve()  # a card is checked against the names of its folders
    try:
        described = card.read(folder)
        graph = card.load_graph(folder, described.variant(provider))
    except CardError as error:
        raise EvaluationError(str(error)) from error
    image, draw = described.image, drawing(graph, provider, precision)
    return Subject(
        title=f"{described.name}/{described.version}",
        dataset=described.dataset.name,
        image_shape=(image.channels, image.height, image.width),
        latent=described.latent,
        draw=draw,
        directions=described.directions,
    )


def drawing(graph: bytes, provider: Provider, precision: Precision) -> Callable[[Latents], Pixels]:
    """``graph`` on ``provider``. Raises EvaluationError where that does not run."""
    onnxruntime()
    from app.runtime.providers import GraphError, ProviderError, candidates, session

    try:
        (place,) = candidates(provider, precision, available())
        loaded = session(graph, place)
    except (GraphError, ProviderError) as error:
        raise EvaluationError(str(error)) from error
    return lambda z: run(loaded, {card.INPUT: z})
