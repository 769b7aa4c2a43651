"""Generated images, ready to be encoded."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from app.artifact.card import CLASSES
from app.batching.jobs import Claim, Computed
from app.imaging import sheets
from app.imaging.png import Text
from app.imaging.sheets import Pixels
from app.latent.conditions import Conditions
from app.middleware.encoders import Encoders
from app.observability.request_stats import RequestStats
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

T = TypeVar("T")

ENCODING = 4
"""Bytes of memory that encoding needs for each byte of pixels: enlarged, laid out, filtered."""


@dataclass(slots=True)
class Drawn:
    """The images of one request, with what their encoding needs."""

    version: ModelVersion
    options: DrawOptions
    pixels: Pixels
    """uint8 ``(n, height, width, channels)``."""
    conditions: Conditions | None
    """``(n, k)``; None if the generator is unconditional."""
    queue: float
    compute: float
    """Seconds, see ``jobs.Computed``."""
    stats: RequestStats
    encoders: Encoders
    claim: Claim
    ready_at: float = field(default_factory=time.perf_counter)
    """When encoding could begin, by the clock ``time.perf_counter``."""
    _common_condition: Mapping[str, str] | None = field(default=None, init=False)

    async def encode(self, work: Callable[[], T], size: int) -> T:
        """Return ``work()``, see ``Encoders.run``."""
        return await self.encoders.run(work, size, self.claim)

    def part(self, which: slice) -> "Drawn":
        """Some of the images."""
        conditions = None if self.conditions is None else self.conditions[which]
        return replace(self, pixels=self.pixels[which], conditions=conditions)

    def condition(self, image: int) -> dict[str, Any]:
        """The class or the attributes of one image, as ``schemas.Conditional`` has them."""
        sampler = self.version.card.sampler
        if sampler is None or self.conditions is None:
            return {}
        return {sampler.parameter: sampler.value(self.conditions[image])}

    def caption(self, image: int, seed: int | None) -> Text:
        """The text chunks of the PNG file of one image."""
        condition = None if self.conditions is None else self.conditions[image]
        text = self.version.condition_text(condition)
        return self.version.caption(self.options.of_image(image), seed, text)

    @property
    def common_condition(self) -> Mapping[str, str]:
        """The ``condition_text`` of all images; empty if they differ."""
        if self.conditions is None:
            return {}
        if self._common_condition is None:
            first: Conditions = self.conditions[0]
            differ = len(self.conditions) > 1 and (self.conditions != first).any()
            self._common_condition = self.version.condition_text(None if differ else first)
        return self._common_condition

    @property
    def enlarged_bytes(self) -> int:
        """The size of ``enlarged``."""
        return self.pixels.nbytes * self.options.scale**2

    @property
    def enlarged(self) -> Pixels:
        """The pixels, enlarged by the requested scale; takes time for large images."""
        return sheets.upscale(self.pixels, self.options.scale)


@dataclass(slots=True)
class Generation:
    """How the images of one request are generated and encoded."""

    version: ModelVersion
    options: DrawOptions
    stats: RequestStats
    encoders: Encoders

    async def images(self, rows: GraphInputs, claim: Claim, price: float) -> Drawn:
        """The images of ``rows``, see ``ModelVersion.rows``, counted in the statistics.

        ``price`` is their cost, see ``cost.images``. Raises the errors of ``Queued.compute``.
        """
        computed = await self.version.compute(rows, claim, price)
        return self.drawn(computed, rows.get(CLASSES), claim)

    def drawn(self, computed: Computed, conditions: Conditions | None, claim: Claim) -> Drawn:
        """The images in ``computed``, with their ``conditions``, counted in the statistics."""
        pixels: Pixels = computed.results
        card, queue, compute = self.version.card, computed.queue, computed.compute
        self.stats.add_images(card.name, card.version, len(pixels), queue, compute)
        return Drawn(
            self.version,
            self.options,
            pixels,
            conditions,
            queue,
            compute,
            self.stats,
            self.encoders,
            claim,
        )
