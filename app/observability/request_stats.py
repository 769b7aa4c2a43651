"""What becomes of one request, for whoever writes it down: the log, the metrics, the traces.

Whoever draws writes into it from wherever it is called, without knowing that anybody reads it.
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """One request. Its times are in seconds."""

    request_id: str
    began: float = field(default_factory=time.perf_counter)
    """By the clock ``time.perf_counter``."""
    seconds: float = 0.0
    status: int = 499
    """As nginx calls it where a client left before it was answered."""
    model: str = ""
    version: int = 0
    images: int = 0
    queue: float = 0.0
    compute: float = 0.0
    encode: float = 0.0
    refused: str = ""
    """Why there was no room: ``full``, ``share``, ``rate`` or ``closed``."""

    stages: list[tuple[str, float, float]] = field(default_factory=list)
    """What was done, from when until when, by that clock."""

    def drawn(self, model: str, version: int, images: int, queue: float, compute: float) -> None:
        """So many images were drawn just now, in so long."""
        self.model, self.version = model, version
        self.images += images
        self.queue += queue
        self.compute += compute
        now = time.perf_counter()
        self.stages.append(("queue", now - compute - queue, now - compute))
        self.stages.append(("compute", now - compute, now))

    def encoded(self, seconds: float) -> None:
        """What was drawn last was encoded just now, in so long."""
        self.encode += seconds
        now = time.perf_counter()
        self.stages.append(("encode", now - seconds, now))


_current: ContextVar[Record | None] = ContextVar("record", default=None)


def begin(record: Record) -> None:
    """Let ``current`` be ``record`` for whoever this task calls from now on, and its tasks."""
    _current.set(record)


def current() -> Record:
    """Of the request that is being answered; outside of one, a record that nobody reads."""
    return _current.get() or Record("")
