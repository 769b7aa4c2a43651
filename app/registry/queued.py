"""A batcher whose refusals and failures are errors for clients."""

import math
import time
from collections.abc import Hashable

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
from app.registry.statistics import Statistics
from app.runtime.arrays import GraphInputs


class Queued:
    """Something that computes batches of images, behind a queue."""

    def __init__(self, batcher: Batcher, statistics: Statistics | None = None) -> None:
        self.batcher, self.statistics = batcher, statistics or Statistics()

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

    async def compute(self, rows: GraphInputs, claim: Claim, cost: float | None = None) -> Computed:
        """One result for each of ``rows``, and times.

        ``cost`` is as in ``Batcher.submit``.
        Raises QueueShareError, OverloadedError, ShuttingDownError, DeadlineError or EngineError;
        jobs.DisconnectedError if the client disconnected.
        """
        began = time.perf_counter()
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
