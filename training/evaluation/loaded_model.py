"""Loads a generator for evaluation: from a run's checkpoint, or from a published version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.artifact import card
from app.artifact.card import CardError, Directions, Latent
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.latent.conditions import Sampler
from app.latent.sampling import Latents
from app.runtime.cpus import available
from training.config import CheckpointChoice
from training.errors import EvaluationError
from training.evaluation import edit_directions
from training.evaluation.options import Provider, ProviderPrecision
from training.gan.conditional import Rows, rows_of
from training.gan.gan import Gan
from training.gan.pixels import Track, of_latents, to_pixels
from training.loop import checkpoint
from training.run.journal import Run


@dataclass(frozen=True)
class LoadedModel:
    """A generator and what is known about it."""

    title: str
    dataset: str
    """Name of the data set that it was trained on."""
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    latent: Latent
    draw: Callable[[Rows], Pixels]
    """Draws images ``(n, height, width, channels)`` from rows ``(n, z + k)``."""
    sampler: Sampler | None = None
    """Gives seeds their classes or attributes; None for an unconditional generator."""
    classes: tuple[str, ...] = ()
    """The classes that it was trained on, if they are only some of the data set's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The options that it was trained with."""
    run: Run | None = None
    """The run that it belongs to; None for a published version."""
    step: int | None = None
    """Training step of a run's checkpoint; None for a published version."""
    generator: nn.Module | None = None
    """A run's generator, from rows ``(n, z + k)`` to images ``(n, c, h, w)`` in [-1, 1]."""
    directions: Directions | None = None
    """The directions that edit its images, if any were found."""
    discriminator: nn.Module | None = None
    """A run's discriminator, in eval mode, if its logits are of single images.

    A conditional one also takes their conditions ``(n, k)``."""

    def latents(self, seeds: Sequence[int]) -> Latents:
        """The latents of ``seeds``: ``(len(seeds), width)``."""
        return sampling.from_seeds(seeds, self.latent.width, self.latent.prior)

    def rows(self, seeds: Sequence[int]) -> Rows:
        """The generator's input for ``seeds``: latents, each followed by its condition."""
        return rows_of(seeds, self.latent, self.sampler)

    def images(self, count: int, seed: int = 0, track: Track = iter) -> NDArray[np.uint8]:
        """The images of ``count`` seeds from ``seed`` on: uint8 ``(count, c, h, w)``."""
        return of_latents(self.draw, self.rows(sampling.consecutive(seed, count)), track)


def load(
    folder: Path,
    device: torch.device,
    choice: CheckpointChoice | None = None,
    provider: Provider = "cpu",
    precision: ProviderPrecision = "fp32",
) -> LoadedModel:
    """The model in ``folder``: a run, which computes on ``device``, or a published version.

    ``choice`` selects a run's checkpoint; a version runs on ``provider`` in ``precision``. Raises
    EvaluationError if the folder is neither, for a ``choice`` with a version, and for a provider
    that is unavailable; RunError for a run that cannot be read.
    """
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: no such folder")
    if (folder / card.CARD_FILE).exists():
        if choice:
            raise EvaluationError(
                f"{folder}: a published version has no checkpoints; omit --checkpoint {choice}"
            )
        return _load_version(folder, provider, precision)
    run = Run(folder)
    if not run.options.exists():
        raise EvaluationError(
            f"{folder}: neither a run (it has no {run.options.name}) "
            f"nor a published version (it has no {card.CARD_FILE})"
        )
    return load_run(run, device, choice)


def load_run(run: Run, device: torch.device, choice: CheckpointChoice | None = None) -> LoadedModel:
    """The averaged generator of ``run``. Raises RunError if the run cannot be read."""
    config, data = run.config(), run.data()
    gan = Gan(config, data.shape, device, sampler=data.sampler)
    gan.load_state_dict(checkpoint.load(run.chosen_checkpoint(choice)))
    generator = gan.averaged_generator()
    return LoadedModel(
        title=str(run.folder),
        dataset=data.name,
        image_shape=data.shape,
        latent=Latent(width=config.latent_dim, prior=config.prior),
        draw=lambda rows: to_pixels(generator, torch.from_numpy(rows).to(device)),
        sampler=data.sampler,
        classes=config.class_names,
        options=config.model_dump(),
        run=run,
        step=gan.step,
        generator=generator,
        directions=edit_directions.of_run(run, gan.step),
        # A relativistic one compares two images: the sign of a single logit means nothing.
        discriminator=None if config.loss == "relativistic" else gan.discriminator.eval(),
    )


def _load_version(folder: Path, provider: Provider, precision: ProviderPrecision) -> LoadedModel:
    folder = folder.resolve()  # a card is checked against the names of its folders
    try:
        model_card = card.read(folder)
        graph = card.load_graph(folder, model_card.variant(provider))
    except CardError as error:
        raise EvaluationError(str(error)) from error
    image = model_card.image
    return LoadedModel(
        title=f"{model_card.name}/{model_card.version}",
        dataset=model_card.dataset.name,
        image_shape=(image.channels, image.height, image.width),
        latent=model_card.latent,
        draw=_draw_with(graph, model_card.inputs, provider, precision),
        sampler=model_card.sampler,
        classes=_trained_classes(model_card.training.options),
        options=model_card.training.options,
        directions=model_card.directions,
    )


def _trained_classes(options: dict[str, Any]) -> tuple[str, ...]:
    """The value of ``--classes`` among the options on a card; empty if there is none."""
    classes = options.get("classes")
    return tuple(classes.split(",")) if isinstance(classes, str) and classes else ()


def _draw_with(
    graph: bytes, inputs: dict[str, int], provider: Provider, precision: ProviderPrecision
) -> Callable[[Rows], Pixels]:
    """A function that runs ``graph``, with ``inputs`` of these widths, on ``provider``.

    Raises EvaluationError if onnxruntime is not installed or the provider is unavailable.
    """
    try:
        from app.runtime.providers import GraphError, ProviderError, candidates, session
    except ImportError as error:
        raise EvaluationError(
            "evaluating a published version needs onnxruntime: pip install '.[cpu]'"
        ) from error
    try:
        (placement,) = candidates(provider, precision, available())
        loaded = session(graph, placement)
    except (GraphError, ProviderError) as error:
        raise EvaluationError(str(error)) from error

    ends = np.cumsum(list(inputs.values()))[:-1]

    def draw(rows: Rows) -> Pixels:
        parts = dict(zip(inputs, np.split(rows, ends, axis=1), strict=True))
        feed = {name: np.ascontiguousarray(part) for name, part in parts.items()}
        try:
            (pixels,) = loaded.run(None, feed)
        except Exception as error:  # onnxruntime's errors have no common class
            raise EvaluationError(
                f"onnxruntime cannot run the graph on {rows.shape}: {error}"
            ) from error
        drawn: Pixels = pixels
        return drawn

    return draw
