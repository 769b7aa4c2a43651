"""How a model version generates the images of one request, apart from seeds and latents."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.latent import edits
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

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query parameters that differ from their defaults, in a fixed order."""
        parameters = {"edit": self.edit.text} if self.edit.text else {}
        if self.truncation != 1:
            parameters["truncation"] = edits.shortest_decimal(self.truncation)
        if self.scale != 1:
            parameters["scale"] = str(self.scale)
        return parameters


DEFAULT = DrawOptions()
