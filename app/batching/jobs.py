"""What waits in a batcher: rows, on whose behalf, and how that can end."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]
Rows = Mapping[str, Array]


class QueueFullError(Exception):
    """No room for these rows now; ``retry_after`` seconds from now there should be."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"{waiting} images are waiting")
        self.waiting, self.retry_after = waiting, retry_after


class ShareError(QueueFullError):
    """Not for this client: what it has in the queue is its share, and others wait, too."""


class BatcherClosedError(Exception):
    """The batcher takes no more rows."""


class ExpiredError(Exception):
    """The deadline passed; its text says what was waited for."""


class DisconnectedError(Exception):
    """Nobody waits for these rows any more."""


class BatchError(Exception):
    """The batch that held these rows could not be computed. The log has its trace by ``fault``."""

    def __init__(self, reason: str, fault: str) -> None:
        super().__init__(reason)
        self.fault = fault


@dataclass(frozen=True)
class Claim:
    """On whose behalf rows are computed, and for how long that has a point."""

    client: Hashable = None
    deadline: float = math.inf
    """By the clock ``time.perf_counter``."""
    disconnected: Callable[[], Awaitable[None]] | None = None
    """Returns when the client leaves; asked only where rows have to wait."""


ANONYMOUS = Claim()


@dataclass
class Counts:
    """Images since the start: computed, or dropped before that, by reason."""

    computed: int = 0
    left: int = 0
    deadline: int = 0
    failed: int = 0
    """In a batch that failed, or after one that held the same request's."""


Outcome = Literal["computed", "left", "deadline", "failed"]
OutcomeObserver = Callable[[Outcome, int], None]
"""Is told what became of so many images: of a whole batch, or of what was left of a job."""


def ignore_outcomes(_outcome: Outcome, _images: int) -> None:
    """An OutcomeObserver that does nothing."""


@dataclass(frozen=True)
class Computed:
    """The results of one request, and the seconds that they took."""

    results: Array
    queue: float
    """How long its rows waited: for their turn, and between their batches."""
    compute: float
    """How long the batches took that held its rows, and those of others."""


@dataclass(eq=False)
class Job:
    """The rows of one request, and what is known of their results."""

    rows: Rows
    count: int
    claim: Claim
    settled: asyncio.Future[Array]
    began: float
    taken: int = 0
    seconds: float = 0.0
    parts: list[Array] = field(default_factory=list)

    @property
    def left(self) -> int:
        """How many of them wait for their turn."""
        return self.count - self.taken

    @property
    def state(self) -> str:
        """What it waits for, in words."""
        seconds = f"after {time.perf_counter() - self.began:.2f} s"
        if self.left:
            return f"{seconds} {self.left} of {self.count} images were still in the queue"
        return f"{seconds} the last of {self.count} images were still being computed"

    @property
    def expired(self) -> bool:
        """Whether its deadline has passed."""
        return self.claim.deadline <= time.perf_counter()

    def take(self, most: int) -> Rows:
        """The next of its rows."""
        first, self.taken = self.taken, min(self.count, self.taken + most)
        return {name: values[first : self.taken] for name, values in self.rows.items()}

    def give(self, part: Array, seconds: float) -> None:
        """The results of its next rows, and the seconds that their batch took."""
        self.parts.append(part)
        self.seconds += seconds
        if sum(map(len, self.parts)) == self.count and not self.settled.done():
            whole = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
            self.settled.set_result(whole)

    def fail(self, error: Exception) -> None:
        """End it, unless it has ended."""
        if not self.settled.done():
            self.settled.set_exception(error)
