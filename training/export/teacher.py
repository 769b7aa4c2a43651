"""``fit --teacher``: the trained generator that a run or a published version has.

Imports torch only to load it, so that a wrong teacher is refused quickly.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from app.artifact import card
from app.artifact.card import CardError, Latent
from training.errors import ExportError, RunError
from training.export import source_folder
from training.gan.teacher import Teacher
from training.run.journal import Run

if TYPE_CHECKING:
    import torch
    from torch import nn


def find(source: Path) -> Teacher:
    """The generator in ``source``: a run, a published model or one of its versions.

    Its weights are only hashed. Raises RunError if it is none of these or damaged.
    """
    if source_folder.is_run(source):
        return _of_run(Run(source))
    try:
        if folder := source_folder.version_in(source):
            return _of_version(folder, source)
    except CardError as error:
        raise RunError(f"--teacher {source}: {error}") from error
    raise RunError(f"--teacher {source}: neither a run nor a published model such as models/digits")


def _of_run(run: Run) -> Teacher:
    path = run.chosen_checkpoint(None)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RunError(
            f"--teacher {run.folder}: {path.name} cannot be read: {error.strerror}"
        ) from error
    config, data = run.config(), run.data()

    def load(device: "torch.device") -> "nn.Module":
        from training.evaluation import loaded_model

        generator = loaded_model.load_run(run, device).generator
        assert generator is not None  # noqa: S101 a run has one
        return _frozen(generator, device)

    return Teacher(
        _name(run.folder),
        card.digest(content),
        Latent(width=config.latent_dim, prior=config.prior),
        data.shape,
        data.sampler,
        load,
    )


def _of_version(folder: Path, source: Path) -> Teacher:
    described = card.read(folder)
    image = described.image

    def load(device: "torch.device") -> "nn.Module":
        from training.export import read_back

        try:
            return _frozen(read_back.generator(folder), device)
        except (CardError, ExportError) as error:
            raise RunError(f"--teacher {source}: {error}") from error

    return Teacher(
        _name(folder),
        described.variant("any").sha256,
        described.latent,
        (image.channels, image.height, image.width),
        described.sampler,
        load,
    )


def _frozen(generator: "nn.Module", device: "torch.device") -> "nn.Module":
    from training.gan.hardware import channels_last

    return channels_last(generator.requires_grad_(False)).to(device).eval()


def _name(folder: Path) -> str:
    """The last two parts of a path, which say nothing about the machine."""
    return "/".join(folder.resolve().parts[-2:])
