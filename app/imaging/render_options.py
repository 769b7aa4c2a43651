"""How every image of a request looks, whatever is drawn."""

from dataclasses import dataclass

from app.latent.edits import shortest_decimal


@dataclass(frozen=True)
class Look:
    """How every image of a request looks."""

    truncation: float = 1.0
    """What the latents of seeds are multiplied by, see ``sampling.truncate``."""
    scale: int = 1
    """Every pixel becomes so many wide and high, see ``sheets.upscale``."""

    @property
    def changes(self) -> dict[str, str]:
        """What makes an image another than the plain one: parameters and their values."""
        told = {} if self.truncation == 1 else {"truncation": shortest_decimal(self.truncation)}
        return told if self.scale == 1 else {**told, "scale": str(self.scale)}


PLAIN = Look()
