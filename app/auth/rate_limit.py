"""A rate limit in images per second: one token bucket for each client.

A client may start a request while its bucket is not empty, and is charged for its whole cost even
if that exceeds the rest. So a large request is never impossible, but its client waits longer
before the next one.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

BURST = 10
"""Seconds in which an empty bucket fills up. An idle client may use a full bucket at once."""


class RateLimiter:
    """The buckets of all clients that generated images recently."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``rate`` in images per second; 0 disables the limit."""
        self.rate, self._clock = rate, clock
        # The time at which each bucket is full again. A client without an entry has a full bucket.
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def wait(self, client: Hashable) -> float:
        """The seconds until the bucket of ``client`` is no longer empty; 0 if it is not empty."""
        if not self.rate:
            return 0.0
        now = self._clock()
        return max(0.0, self._full_at.get(client, now) - now - BURST)

    def charge(self, client: Hashable, images: float) -> None:
        """Take ``images`` from the bucket of ``client``."""
        if not (self.rate and images):
            return
        now = self._clock()
        self._full_at[client] = max(self._full_at.pop(client, now), now) + images / self.rate
        # Entries of full buckets are removed, least recently used first.
        while next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)

    def __len__(self) -> int:
        """The number of buckets in memory."""
        return len(self._full_at)
