"""Batches in slices, one for each CPU.

Threads that share a run meet after every operator, and what an operator does alone they all wait
for. Threads that each run a slice of the batch meet once, at its end.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from app import providers
from app.card import INPUT, OUTPUT
from app.images import Pixels
from app.latents import Latents
from app.providers import Placement


class Slices:
    """A graph on the CPU provider, run by many threads at once that use one CPU each."""

    def __init__(self, graph: bytes, place: Placement) -> None:
        """Raises what ``providers.session`` raises."""
        self.session = providers.session(graph, replace(place, threads=1))
        self._threads = place.threads
        # The thread that calls has a slice as well.
        others = max(1, place.threads - 1)
        self._others = ThreadPoolExecutor(others, thread_name_prefix="slice")

    def __call__(self, latents: Latents) -> Pixels:
        """Latents float32 ``(n, width)``, n ≥ 1, to uint8 ``(n, height, width, channels)``."""
        own, *others = np.array_split(latents, min(self._threads, len(latents)))
        if not others:
            return self._draw(own)
        drawn = [self._others.submit(self._draw, part) for part in others]
        return np.concatenate([self._draw(own), *(part.result() for part in drawn)])

    def _draw(self, latents: Latents) -> Pixels:
        pixels: Pixels
        (pixels,) = self.session.run([OUTPUT], {INPUT: latents})
        return pixels
