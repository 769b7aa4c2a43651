"""Limits work beside the training to a share of the time."""

import time


class TimeShare:
    """Says when recurring work is due, so that it takes at most a share of the time."""

    def __init__(self, share: float) -> None:
        """The first time it is due at once."""
        self._share, self._next = share, float("-inf")

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the work was done."""
        return time.monotonic() >= self._next

    def spent(self, seconds: float) -> None:
        """Note that the work has just been done, and took ``seconds``."""
        self._next = time.monotonic() - seconds + seconds / self._share
