"""Batches in slices, one for each CPU.

Threads that share a run meet after every operator, and what an operator does alone they all wait
for. Threads that each run a slice of the batch meet once, at its end.
"""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median

import numpy as np

from app import providers
from app.card import INPUT, OUTPUT
from app.images import Pixels
from app.latents import Latents
from app.providers import Placement

WAKING = 0.0005
"""Seconds of computing that are over by the time that another thread is awake and has told."""
_TRIES, _PAUSE = 11, 0.001


class Slices:
    """A graph on the CPU provider, run by many threads at once that use one CPU each."""

    def __init__(self, graph: bytes, place: Placement) -> None:
        """Raises what ``providers.session`` raises."""
        self.session = providers.session(graph, replace(place, threads=1))
        self._threads, self._least = place.threads, 1
        # The thread that calls has a slice as well.
        others = max(1, place.threads - 1)
        self._others = ThreadPoolExecutor(others, thread_name_prefix="slice")

    def measure(self, width: int) -> float:
        """The seconds that one image takes, of a latent ``(width,)``.

        Slices will be of so many from then on that each takes longer than to wake a thread for it.
        """
        seconds = latency(self._draw, width)
        self._least = math.ceil(WAKING / seconds)
        return seconds

    def __call__(self, latents: Latents) -> Pixels:
        """Latents float32 ``(n, width)``, n ≥ 1, to uint8 ``(n, height, width, channels)``."""
        count = min(self._threads, len(latents) // self._least)
        if count <= 1:
            return self._draw(latents)
        own, *others = np.array_split(latents, count)
        drawn = [self._others.submit(self._draw, part) for part in others]
        return np.concatenate([self._draw(own), *(part.result() for part in drawn)])

    def _draw(self, latents: Latents) -> Pixels:
        pixels: Pixels
        (pixels,) = self.session.run([OUTPUT], {INPUT: latents})
        return pixels


def latency(draw: Callable[[Latents], Pixels], width: int) -> float:
    """The seconds that ``draw`` takes for one latent ``(width,)`` after a pause: the median."""
    row = np.zeros((1, width), np.float32)
    found = []
    for _ in range(_TRIES):
        time.sleep(_PAUSE)  # as requests come: threads that were awake are not any more
        began = time.perf_counter()
        draw(row)
        found.append(time.perf_counter() - began)
    return median(found)
