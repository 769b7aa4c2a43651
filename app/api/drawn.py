"""Generated images, ready to be encoded."""

import time
from dataclasses import dataclass, field, replace
from typing import cast

from app.batching.jobs import Claim
from app.imaging import sheets
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents
from app.observability.request_stats import RequestStats
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion


@dataclass(frozen=True)
class Drawn:
    """The images of one request, with what their encoding needs."""

    version: ModelVersion
    options: DrawOptions
    pixels: Pixels
    """uint8 ``(n, height, width, channels)``."""
    queue: float
    compute: float
    """Seconds, see ``jobs.Computed``."""
    stats: RequestStats
    ready_at: float = field(default_factory=time.perf_counter)
    """When encoding could begin, by the clock ``time.perf_counter``."""

    def part(self, which: slice) -> "Drawn":
        """Some of the images."""
        return replace(self, pixels=self.pixels[which])

    @property
    def enlarged(self) -> Pixels:
        """The pixels, enlarged by the requested scale; takes time for large images."""
        return sheets.upscale(self.pixels, self.options.scale)


async def generate(
    version: ModelVersion,
    options: DrawOptions,
    rows: Latents,
    claim: Claim,
    stats: RequestStats,
) -> Drawn:
    """The images of latents ``(n, width)``, counted in ``stats``.

    Raises the errors of ``ModelVersion.draw``.
    """
    computed = await version.draw(rows, options, claim)
    pixels, card = cast("Pixels", computed.results), version.card
    stats.add_images(card.name, card.version, len(pixels), computed.queue, computed.compute)
    return Drawn(version, options, pixels, computed.queue, computed.compute, stats)
