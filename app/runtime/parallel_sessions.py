"""Batches in slices, one for each CPU.

Threads that share a run meet after every operator, and what an operator does alone they all wait
for. Threads that each run a slice of the batch meet once, at its end.
"""

import math
import timeit
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from app.artifact.card import INPUT, OUTPUT
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents
from app.runtime import providers
from app.runtime.cpu_affinity import Crew
from app.runtime.providers import Placement

WAKING = 0.0005
"""Seconds of computing that are over by the time that another thread is awake and has told."""
_TRIES = 10


class Slices:
    """A graph on the CPU provider, run by many threads at once that use one CPU each."""

    def __init__(self, graph: bytes, place: Placement) -> None:
        """Raises what ``providers.session`` raises."""
        self.session = providers.session(graph, replace(place, threads=1))
        self._threads, self._least = place.threads, 1
        self._crew = Crew()
        # The thread that calls has a slice as well.
        others = max(1, place.threads - 1)
        # Threads keep what they begin with: a method of this would keep it in memory, and them.
        self._others = ThreadPoolExecutor(others, "slice", self._crew.join)

    def measure(self, width: int) -> None:
        """Let slices be of so many images that to wake a thread for one is worth it.

        Latents are ``(width,)``.
        """
        row = np.zeros((1, width), np.float32)
        seconds = min(timeit.repeat(lambda: self._draw(row), number=1, repeat=_TRIES))
        self._least = math.ceil(WAKING / seconds)

    def __call__(self, latents: Latents) -> Pixels:
        """Latents float32 ``(n, width)``, n ≥ 1, to uint8 ``(n, height, width, channels)``."""
        count = self.count(len(latents))
        if count == 1:
            return self._draw(latents)
        own, *others = np.array_split(latents, count)
        self._crew.make_way()
        drawn = [self._others.submit(self._draw, part) for part in others]
        return np.concatenate([self._draw(own), *(part.result() for part in drawn)])

    def count(self, images: int) -> int:
        """How many slices so many images are drawn in."""
        return max(1, min(self._threads, images // self._least))

    def _draw(self, latents: Latents) -> Pixels:
        pixels: Pixels
        (pixels,) = self.session.run([OUTPUT], {INPUT: latents})
        return pixels
