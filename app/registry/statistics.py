"""Counts of what one version has computed since it was put into service."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Compute = Callable[[Mapping[str, NDArray[np.generic]]], NDArray[Any]]


@dataclass
class Count:
    """A number of events and their total duration."""

    times: int = 0
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one event of ``seconds``."""
        self.times += 1
        self.seconds += seconds


class Statistics:
    """Requests, batches and images of one version, in this process."""

    def __init__(self) -> None:
        self.failed = Count()
        """Requests, from their arrival in the queue to their failure."""
        self.succeeded = 0
        """Requests that got their images."""
        self.queue_seconds, self.compute_seconds = 0.0, 0.0
        """How long their rows waited in the queue, and were in the engine."""
        self.batches, self.images = 0, 0
        self.last: float | None = None
        """When the last batch ended, in seconds since 1970."""

    def counting(self, compute: Compute) -> Compute:
        """``compute``, wrapped to count batches and images; for calls from one thread at a time."""

        def counted(rows: Mapping[str, NDArray[np.generic]]) -> NDArray[Any]:
            pixels = compute(rows)
            self.batches += 1
            self.images += len(pixels)
            self.last = time.time()
            return pixels

        return counted

    def succeed(self, queue: float, compute: float) -> None:
        """Count a request that got its images after these seconds in the queue and the engine."""
        self.succeeded += 1
        self.queue_seconds += queue
        self.compute_seconds += compute
