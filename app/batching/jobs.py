"""What a batcher queues: the rows of a request, their client and deadline, and their outcome."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rows = Mapping[str, Array]
"""Inputs of a model by name; the first axis of every array counts the rows, one per image."""


class RefusedError(Exception):
    """The batcher does not accept these rows now."""


class QueueFullError(RefusedError):
    """The queue has no room for these rows; it should have in ``retry_after`` seconds."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"{waiting} images are waiting")
        self.waiting, self.retry_after = waiting, retry_after


class ShareError(QueueFullError):
    """These rows exceed the client's fair share of the queue while other clients are waiting."""


class BatcherClosedError(RefusedError):
    """The batcher is closed and accepts no more rows."""


class ExpiredError(Exception):
    """The deadline passed; the message says what the request was still waiting for."""


class DisconnectedError(Exception):
    """The client disconnected, so nobody waits for these rows any more."""


class BatchError(Exception):
    """The batch with these rows failed. The log has the traceback under the name ``fault``."""

    def __init__(self, reason: str, fault: str) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(slots=True)
class Claim:
    """The client that rows are computed for, and when it stops waiting for them."""

    client: Hashable = None
    deadline: float = math.inf
    """In seconds, by the clock ``time.perf_counter``."""
    disconnected: Callable[[], Awaitable[None]] | None = None
    """Returns once the client has disconnected; awaited only if the rows have to wait."""


ANONYMOUS = Claim()
"""No particular client, no deadline."""


@dataclass
class Counts:
    """Images since the start, by outcome."""

    computed: int = 0
    left: int = 0
    """Dropped from the queue because their client disconnected."""
    deadline: int = 0
    """Dropped from the queue because their deadline passed."""
    failed: int = 0
    """In a batch that failed, or dropped because an earlier batch of their request failed."""


Outcome = Literal["computed", "left", "deadline", "failed"]
"""A field of Counts."""

OutcomeObserver = Callable[[Outcome, int], None]
"""Receives an outcome and the number of images with it: those of a batch, or the rest of a job."""


def ignore_outcomes(_outcome: Outcome, _images: int) -> None:
    """An OutcomeObserver that does nothing."""


@dataclass(slots=True)
class Computed:
    """The results of one request, with its times in seconds."""

    results: Array
    """One result per row, in order."""
    queue: float
    """How long the rows waited: for their first batch, and between their batches."""
    compute: float
    """How long the batches with these rows took, including the rows of other requests."""


@dataclass(eq=False, slots=True)
class Job:
    """The rows of one request on their way through the batcher."""

    rows: Rows
    count: int
    claim: Claim
    result: asyncio.Future[Array]
    submitted: float
    """By the clock ``time.perf_counter``."""
    cost: float
    """What all rows cost, in rows of ordinary cost."""
    taken: int = 0
    """Number of rows that have left the queue."""
    computed: int = 0
    """Number of rows whose results are in ``parts``."""
    compute_seconds: float = 0.0
    parts: list[Array] = field(default_factory=list)
    """The results so far, batch by batch."""
    disconnect: asyncio.Future[None] | None = None
    """Done once the client has disconnected; None while nobody waits for that."""
    timer: asyncio.TimerHandle | None = None
    """Ends the job at its deadline; None while there is no need for it."""

    @property
    def queued(self) -> int:
        """Number of rows that are still in the queue."""
        return self.count - self.taken

    def cost_of(self, count: int) -> float:
        """The cost of ``count`` of its rows."""
        return self.cost * count / self.count

    @property
    def progress(self) -> str:
        """How long the request has been waiting, and for what; part of an error message."""
        seconds = f"after {time.perf_counter() - self.submitted:.2f} s"
        if self.queued:
            return f"{seconds} {self.queued} of {self.count} images were still in the queue"
        return f"{seconds} the last of {self.count} images were still being computed"

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.claim.deadline <= time.perf_counter()

    def rows_from(self, first: int) -> Rows:
        """Return the rows from index ``first`` to the last one that has left the queue."""
        if not first and not self.queued:
            return self.rows
        return {name: values[first : self.taken] for name, values in self.rows.items()}

    def add(self, part: Array, seconds: float) -> None:
        """Add results of the next rows, whose batch took ``seconds``; the last ones end the job."""
        self.parts.append(part)
        self.computed += len(part)
        self.compute_seconds += seconds
        if self.computed == self.count and not self.result.done():
            whole = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
            self.result.set_result(whole)

    def fail(self, error: Exception) -> None:
        """End the job with ``error``, unless it has ended already."""
        if not self.result.done():
            self.result.set_exception(error)
