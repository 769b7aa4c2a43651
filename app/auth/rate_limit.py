"""How many images a second each client may ask for: a token bucket each.

A client may begin a request while its bucket holds anything, and pays for all of its images even
so. A large request is never impossible, but whoever draws it waits for longer before the next.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

BURST = 10
"""Seconds that a bucket takes to fill: who was quiet for as long may draw as much at once."""


class Rates:
    """The buckets of all clients that drew lately."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``rate`` in images a second; 0 for any number."""
        self.rate, self._clock = rate, clock
        # When each bucket is full again. Who is not in it has a full one.
        self._full: OrderedDict[Hashable, float] = OrderedDict()

    def wait(self, client: Hashable) -> float:
        """For how many seconds the bucket of ``client`` stays empty; 0 if it holds anything."""
        now = self._clock()
        return max(0.0, self._full.get(client, now) - now - BURST)

    def spend(self, client: Hashable, images: int) -> None:
        """Take so many images, at least one, out of it."""
        if not self.rate:
            return
        now = self._clock()
        self._full[client] = max(self._full.pop(client, now), now) + images / self.rate
        # Those that are full again are forgotten, those first that drew the longest ago.
        while next(iter(self._full.values())) <= now:
            self._full.popitem(last=False)

    def __len__(self) -> int:
        """How many buckets are remembered."""
        return len(self._full)
