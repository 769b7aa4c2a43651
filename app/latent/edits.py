"""Edits: steps in latent space that add attributes to images or remove them.

Shen et al. 2020 (arXiv 1907.10786), section 3.2: an image gains an attribute as its latent moves
along the direction of that attribute, and loses it as the latent moves back. Several directions add
up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from app.latent.sampling import Float64Array, Latents

MAX_ATTRIBUTES, MAX_STRENGTH = 16, 5
"""How many attributes one edit may name, and how strong each may be, with either sign."""

STEP_PATTERN = r"^[a-z][a-z0-9_]{0,31}:-?([0-4](\.[0-9]+)?|5(\.0+)?)$"
"""One attribute and its strength, as text: ``glasses:2``."""


@dataclass(frozen=True)
class Edit:
    """The step that is added to every latent of a request."""

    text: str = ""
    """Attributes and strengths, ``beard:-1.5,glasses:2``; equal for equal edits, empty for none."""
    step: Float64Array | float = 0.0
    """``(width,)``, or a number for all dimensions."""

    @classmethod
    def from_directions(
        cls, vectors: Mapping[str, Sequence[float]], strengths: Mapping[str, float]
    ) -> Self:
        """Return the sum of ``vectors`` ``(width,)``, each times its strength; 0 counts as none.

        Raises KeyError for a strength without a vector.
        """
        nonzero = {name: strength for name, strength in sorted(strengths.items()) if strength}
        text = ",".join(f"{name}:{shortest_decimal(value)}" for name, value in nonzero.items())
        return cls(
            text, sum(strength * np.array(vectors[name]) for name, strength in nonzero.items())
        )

    def __call__(self, rows: Latents) -> Latents:
        """Return latents ``(n, width)``, each moved by the step, as float32 ``(n, width)``."""
        if not self.text:
            return rows
        moved: Latents = (rows + self.step).astype(np.float32)
        return moved


NO_EDIT = Edit()


def parse(steps: Sequence[str]) -> dict[str, float]:
    """Return the strengths by attribute of texts that match STEP_PATTERN.

    Raises ValueError if an attribute occurs twice.
    """
    pairs = [step.split(":") for step in steps]
    strengths = {name: float(strength) for name, strength in pairs}
    if len(strengths) < len(pairs):
        raise ValueError("an edit names every attribute once")
    return strengths


def shortest_decimal(number: float) -> str:
    """Return the shortest decimal text, without an exponent, that reads back as ``number``."""
    return np.format_float_positional(number, trim="-")
