"""One model version in service: its card, its engine, its queue, its encoder and its leases."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.artifact.card import CLASSES, Card
from app.batching.batcher import Batcher
from app.registry.draw_options import DEFAULT, DrawOptions
from app.registry.encoder import Encoder
from app.registry.generator import Generator
from app.registry.queued import Queued
from app.registry.queued_seeds import SEEDS
from app.registry.statistics import Statistics
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine


class ModelVersion(Generator, Queued):
    """One model version in service.

    A request holds a lease while it uses the version. A version that is retired stops its batchers
    when the last lease is released, so that requests which found it still get their images.
    """

    def __init__(
        self,
        card: Card,
        engine: Engine,
        batcher: Batcher,
        statistics: Statistics | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        """``batcher`` runs ``engine``."""
        Generator.__init__(self, card, engine)
        Queued.__init__(self, batcher, statistics)
        self.encoder = encoder
        self._leases, self._retired = 0, False

    @property
    def batchers(self) -> Sequence[Batcher]:
        """The batcher of the generator, and that of the encoder if there is one."""
        return [self.batcher, *([self.encoder.batcher] if self.encoder else [])]

    def acquire(self) -> None:
        """Take a lease."""
        self._leases += 1

    def release(self) -> None:
        """Give a lease back."""
        self._leases -= 1
        self._close_if_unused()

    def retire(self) -> None:
        """Stop the batchers once there is no lease. The registry calls this."""
        self._retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and not self._leases:
            for batcher in self.batchers:
                batcher.close_soon()

    def rows_to_queue(self, seeds: list[int], options: DrawOptions = DEFAULT) -> GraphInputs:
        """The rows for ``compute`` of the images of ``seeds``.

        Where the options allow that, the queue gets seeds, see ``queued_seeds``.
        """
        if options.changes_latents:
            return self.rows_from_seeds(seeds, options)
        rows: dict[str, NDArray[np.generic]] = {SEEDS: np.array(seeds, np.uint32)}
        if sampler := self.card.sampler:
            rows[CLASSES] = options.choice(sampler.from_seeds(seeds))
        return rows
