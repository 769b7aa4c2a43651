"""Edits: steps in latent space that give images attributes, or take them away.

Shen et al. 2020 (arXiv 1907.10786), section 3.2: an image gains what a direction stands for as its
latent moves along it, and loses it on the way back. Several directions add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from app.latent.sampling import Float64Array, Latents

MAX_ATTRIBUTES, MAX_STRENGTH = 16, 5
"""How many attributes one edit may name, and how strongly each may be given or taken."""

STEP_PATTERN = r"^[a-z][a-z0-9_]{0,31}:-?([0-4](\.[0-9]+)?|5(\.0+)?)$"
"""One attribute and its strength, as text: ``glasses:2``."""


@dataclass(frozen=True)
class Edit:
    """The one step that all latents of a request take."""

    text: str = ""
    """What it does, ``beard:-1.5,glasses:2``: the same for equal edits, empty where it is none."""
    step: Float64Array | float = 0.0
    """What is added to a latent, ``(width,)``."""

    @classmethod
    def from_directions(
        cls, vectors: Mapping[str, Sequence[float]], strengths: Mapping[str, float]
    ) -> Self:
        """The sum of ``vectors`` ``(width,)``, each times its strength; 0 is as good as none.

        Raises KeyError for a strength without a vector.
        """
        given = {name: strength for name, strength in sorted(strengths.items()) if strength}
        text = ",".join(f"{name}:{shortest_decimal(strength)}" for name, strength in given.items())
        return cls(
            text, sum(strength * np.array(vectors[name]) for name, strength in given.items())
        )

    def __call__(self, rows: Latents) -> Latents:
        """Latents ``(n, width)``, each moved by the step: float32 ``(n, width)``."""
        moved: Latents = (rows + self.step).astype(np.float32)
        return moved


NO_EDIT = Edit()


def parse(steps: Sequence[str]) -> dict[str, float]:
    """Strengths by attribute. Raises ValueError if an attribute occurs twice."""
    pairs = [step.split(":") for step in steps]
    strengths = {name: float(strength) for name, strength in pairs}
    if len(strengths) < len(pairs):
        raise ValueError("an edit names every attribute once")
    return strengths


def shortest_decimal(number: float) -> str:
    """The shortest decimal number that is read as this very one; never with an exponent."""
    return np.format_float_positional(number, trim="-")
