"""A teacher: a trained generator whose images a smaller one learns to reproduce, seed by seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.artifact.card import Latent
from app.latent.conditions import Sampler

if TYPE_CHECKING:  # a wrong teacher is found before torch is imported
    import torch
    from torch import nn


@dataclass(frozen=True)
class Teacher:
    """A trained generator, before its weights are loaded."""

    name: str
    """As in ``fashion-mnist/3``: a published version, or the last two folders of a run."""
    sha256: str
    """Of the file with its weights, as hexadecimal digits."""
    latent: Latent
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""
    sampler: Sampler | None
    """Its classes or attributes; None for an unconditional generator."""
    load: "Callable[[torch.device], nn.Module]"
    """Loads it: a frozen module from rows ``(n, z + k)`` to images ``(n, c, h, w)`` in [-1, 1]."""
