"""One version in service, and what it draws."""

import math
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from app.api.allowed import told
from app.artifact.card import INPUT, Card, Variant
from app.batching import jobs
from app.batching.batcher import Batcher
from app.errors import (
    ClosedError,
    EngineError,
    LateError,
    OverloadedError,
    OverShareError,
    offence,
    refusal,
)
from app.imaging import sheets
from app.imaging.render_options import PLAIN, Look
from app.imaging.sheets import Pixels
from app.latent import edits, sampling
from app.latent.edits import Edit
from app.latent.sampling import Latents
from app.middleware import request_context
from app.observability import request_stats
from app.registry.statistics import Statistics
from app.runtime.engine import Engine


class Hold:
    """As long as one of these lives, somebody may draw."""


@dataclass(frozen=True)
class Served:
    """One version in service."""

    card: Card
    engine: Engine
    batcher: Batcher
    edit: Edit = edits.NO_EDIT
    """What happens to every latent before it is drawn."""
    look: Look = PLAIN
    statistics: Statistics = field(default_factory=Statistics)
    hold: Hold = field(default_factory=Hold, repr=False)
    """Shared by all copies: the batcher is closed when the last request lets go of it."""

    @property
    def title(self) -> str:
        """``name/version``, as in the headers and the log."""
        return f"{self.card.name}/{self.card.version}"

    @property
    def variant(self) -> Variant:
        """The graph that draws."""
        return self.card.variant(self.engine.provider)

    def latents(self, seeds: list[int]) -> Latents:
        """The latents of ``seeds`` under this version's prior, truncated."""
        drawn = sampling.from_seeds(seeds, self.card.latent.width, self.card.latent.prior)
        return sampling.truncate(drawn, self.look.truncation)

    @property
    def changes(self) -> dict[str, str]:
        """What makes a seed's image another than the plain one: parameters and their values."""
        edited = {"edit": self.edit.text} if self.edit.text else {}
        return {**edited, **self.look.changes}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of its images."""
        scale, image = self.look.scale, self.card.image
        return scale * image.height, scale * image.width

    def editing(
        self, strengths: Mapping[str, float], look: Look = PLAIN, place: str = "query"
    ) -> "Served":
        """The same, but its images are given attributes, so strongly each, and look so.

        The client named them in ``place``. Raises ParameterError for those that it does not have.
        """
        if not strengths and look == self.look:
            return self
        vectors = {name: found.vector for name, found in self.card.attributes.items()}
        unknown = [told(name) for name in strengths if name not in vectors]
        if unknown:
            nothing = f"left out: {self.title} has no attributes to edit"
            allowed = f"one of {', '.join(sorted(vectors))}" if vectors else nothing
            raise refusal(*(offence("edit", place, name, allowed) for name in unknown))
        return replace(self, edit=Edit.from_directions(vectors, strengths), look=look)

    async def draw(self, rows: Latents) -> "Drawn":
        """The images of latents ``(n, width)``, edited, for the client that this task answers.

        Raises OverRateError, OverShareError, OverloadedError, ClosedError, LateError or
        EngineError; jobs.DisconnectedError if the client disconnects; and ParameterError for a
        timeout that is not allowed.
        """
        began = time.perf_counter()
        try:
            computed = await self.batcher.submit(
                {INPUT: self.edit(rows)}, request_context.claim(len(rows))
            )
        except jobs.QueueFullError as error:
            seconds = max(1, math.ceil(error.retry_after))
            if isinstance(error, jobs.ShareError):
                raise OverShareError(f"others wait, too: {error}", seconds) from error
            full = partial(_refuses, self.batcher, len(rows))
            raise OverloadedError(f"the server is busy: {error}", seconds, full) from error
        except jobs.BatcherClosedError as error:
            raise ClosedError("the server is shutting down") from error
        except jobs.ExpiredError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            raise LateError(f"not drawn in time: {error}") from error
        except jobs.BatchError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            raise EngineError(
                f"these images could not be computed; the log says why by fault {error.fault}"
            ) from error
        self.statistics.succeed(computed.queue, computed.compute)
        pixels = cast("Pixels", computed.results)
        request_stats.current().drawn(
            self.card.name, self.card.version, len(pixels), computed.queue, computed.compute
        )
        return Drawn(self, pixels, computed.queue, computed.compute)


@dataclass(frozen=True)
class Drawn:
    """The images of one request: by whom they were drawn, and how long it took."""

    served: Served
    pixels: Pixels
    """uint8 ``(n, height, width, channels)``."""
    queue: float
    compute: float
    """Seconds, see ``jobs.Computed``."""
    at: float = field(default_factory=time.perf_counter)
    """When they were ready to be encoded, by the clock ``time.perf_counter``."""

    def part(self, which: slice) -> "Drawn":
        """Some of them."""
        return replace(self, pixels=self.pixels[which])

    @property
    def enlarged(self) -> Pixels:
        """The same pixels, as wide and high as they shall look; this may take its time."""
        return sheets.upscale(self.pixels, self.served.look.scale)


def _refuses(batcher: Batcher, count: int, client: Hashable) -> bool:
    """Return whether the queue has no room for ``count`` images; if so, ``client`` is refused."""
    full = batcher.full(client, count)
    if full:
        batcher.note_refused(client)
    return full
