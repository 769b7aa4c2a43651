"""One model version in service: its card, its engine, its queue and its leases."""

import math
import time
from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from app.artifact.card import CLASSES, Card
from app.batching import jobs
from app.batching.batcher import Batcher
from app.batching.jobs import Claim, Computed
from app.errors import (
    DeadlineError,
    EngineError,
    OverloadedError,
    QueueShareError,
    ShuttingDownError,
)
from app.registry.draw_options import DEFAULT, DrawOptions
from app.registry.generator import Generator
from app.registry.queued_seeds import SEEDS
from app.registry.statistics import Statistics
from app.runtime.arrays import GraphInputs
from app.runtime.engine import Engine


class ModelVersion(Generator):
    """One model version in service.

    A request holds a lease while it uses the version. A version that is retired stops its batcher
    when the last lease is released, so that requests which found it still get their images.
    """

    def __init__(
        self, card: Card, engine: Engine, batcher: Batcher, statistics: Statistics | None = None
    ) -> None:
        """``batcher`` runs ``engine``."""
        super().__init__(card, engine)
        self.batcher, self.statistics = batcher, statistics or Statistics()
        self._leases, self._retired = 0, False

    def acquire(self) -> None:
        """Take a lease."""
        self._leases += 1

    def release(self) -> None:
        """Give a lease back."""
        self._leases -= 1
        self._close_if_unused()

    def retire(self) -> None:
        """Stop the batcher once there is no lease. The registry calls this."""
        self._retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._retired and not self._leases:
            self.batcher.close_soon()

    def rows_to_queue(self, seeds: list[int], options: DrawOptions = DEFAULT) -> GraphInputs:
        """The rows for ``draw`` of the images of ``seeds``.

        Where the options allow that, the queue gets seeds, see ``queued_seeds``.
        """
        if options.changes_latents:
            return self.rows_from_seeds(seeds, options)
        rows: dict[str, NDArray[np.generic]] = {SEEDS: np.array(seeds, np.uint32)}
        if self.card.sampler:
            rows[CLASSES] = self.conditions(seeds, options)
        return rows

    def check_room(self, client: Hashable, images: int, cost: float) -> None:
        """Raise the error that refuses ``images`` of this ``cost`` of ``client`` now, if any.

        Raises QueueShareError, OverloadedError or ShuttingDownError.
        """
        try:
            self.batcher.check(client, images, cost)
        except jobs.RefusedError as error:
            raise _refusal(error) from error

    def is_full(self, images: int) -> bool:
        """Whether the queue has no room for ``images``."""
        return self.batcher.full(images)

    def note_refused(self, client: Hashable) -> None:
        """Reserve a share of the queue for ``client``, whose request found it full."""
        self.batcher.note_refused(client)

    async def draw(self, rows: GraphInputs, claim: Claim, cost: float | None = None) -> Computed:
        """The images of ``rows``: uint8 ``(n, height, width, channels)``, and times.

        ``cost`` is as in ``Batcher.submit``.
        Raises QueueShareError, OverloadedError, ShuttingDownError, DeadlineError or EngineError;
        jobs.DisconnectedError if the client disconnected.
        """
        began = time.perf_counter()
        self.acquire()
        try:
            computed = await self.batcher.submit(rows, claim, cost)
        except jobs.RefusedError as error:
            raise _refusal(error) from error
        except jobs.ExpiredError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            raise DeadlineError(f"not generated in time: {error}") from error
        except jobs.BatchError as error:
            self.statistics.failed.add(time.perf_counter() - began)
            detail = f"these images could not be computed; see fault {error.fault} in the log"
            raise EngineError(detail) from error
        finally:
            self.release()
        self.statistics.succeed(computed.queue, computed.compute)
        return computed


def _refusal(error: jobs.RefusedError) -> QueueShareError | OverloadedError | ShuttingDownError:
    """The batcher's refusal as an error for the client."""
    if isinstance(error, jobs.ShareError):
        return QueueShareError(f"other clients are waiting too: {error}", _retry_after(error))
    if isinstance(error, jobs.QueueFullError):
        return OverloadedError(f"the server is busy: {error}", _retry_after(error))
    return ShuttingDownError("the server is shutting down")


def _retry_after(error: jobs.QueueFullError) -> int:
    return max(1, math.ceil(error.retry_after))
