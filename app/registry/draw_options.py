"""How a model version generates the images of one request, apart from seeds and latents."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

from app.latent import choices, edits
from app.latent.choices import Choice
from app.latent.edits import Edit


@dataclass(frozen=True)
class DrawOptions:
    """How the images of one request are generated."""

    edit: Edit = edits.NO_EDIT
    """Moves every latent before its image is generated."""
    truncation: float = 1.0
    """The factor of every latent that comes from a seed, see ``sampling.truncate``."""
    scale: int = 1
    """The integer factor by which images are enlarged, see ``sheets.upscale``."""

    choice: Choice = choices.NO_CHOICE
    """The classes or attributes that the request names, in place of those of its seeds."""

    def of_image(self, image: int) -> Self:
        """The options of one image, which has one of the classes that the request names."""
        if self.choice is choices.NO_CHOICE:
            return self
        return replace(self, choice=self.choice.of_image(image))

    @cached_property
    def changes_latents(self) -> bool:
        """Whether images have other latents than those of their seeds."""
        return bool(self.edit.text) or self.truncation != 1

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The query parameters that differ from their defaults, in a fixed order."""
        parameters = dict(self.choice.parameters)
        if self.edit.text:
            parameters["edit"] = self.edit.text
        if self.truncation != 1:
            parameters["truncation"] = edits.shortest_decimal(self.truncation)
        if self.scale != 1:
            parameters["scale"] = str(self.scale)
        return parameters


DEFAULT = DrawOptions()
