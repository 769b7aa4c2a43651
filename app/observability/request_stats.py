"""Statistics of one request, for the access log, the metrics and the traces."""

import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class RequestStats:
    """One request. Times are in seconds."""

    request_id: str
    began: float = field(default_factory=time.perf_counter)
    """By the clock ``time.perf_counter``."""
    seconds: float = 0.0
    status: int = 499
    """499, as in nginx, if the client closed the connection before the response began."""
    model: str = ""
    version: int = 0
    images: int = 0
    queue: float = 0.0
    compute: float = 0.0
    encode: float = 0.0
    refusal_reason: str = ""
    """The reason for a refusal: ``full``, ``share``, ``rate`` or ``closed``; else empty."""

    stages: list[tuple[str, float, float]] = field(default_factory=list)
    """Name, start and end of each stage, by the same clock."""

    def add_images(
        self, model: str, version: int, images: int, queue: float, compute: float
    ) -> None:
        """Count images that have just been generated, with their seconds in queue and engine."""
        self.model, self.version = model, version
        self.images += images
        self.queue += queue
        self.compute += compute
        now = time.perf_counter()
        self.stages.append(("queue", now - compute - queue, now - compute))
        self.stages.append(("compute", now - compute, now))

    def add_encoding(self, seconds: float) -> None:
        """Count the ``seconds`` of an encoding that has just ended."""
        self.encode += seconds
        now = time.perf_counter()
        self.stages.append(("encode", now - seconds, now))
