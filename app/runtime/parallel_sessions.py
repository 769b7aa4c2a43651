"""Batches split over the CPUs, one part for each thread.

Threads that share one run synchronise after every operator, and wait while an operator runs on a
single thread. Threads that each run a part of the batch synchronise once, at its end.
"""

import math
import timeit
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from app.artifact.card import OUTPUT
from app.imaging.sheets import Pixels
from app.runtime import arrays, providers
from app.runtime.arrays import GraphInputs
from app.runtime.cpu_affinity import ThreadAffinity
from app.runtime.providers import Placement

WAKE_UP_SECONDS = 0.0005
"""The time it takes to wake another thread and to receive its result."""
_TRIES = 10


class ParallelSessions:
    """A graph on the CPU provider, run by several threads at once, each on one CPU."""

    def __init__(self, graph: bytes, placement: Placement) -> None:
        """Use up to ``placement.threads`` threads. Raises what ``providers.session`` raises."""
        self.session = providers.session(graph, replace(placement, threads=1))
        self._threads, self._min_images = placement.threads, 1
        self._affinity = ThreadAffinity()
        # The calling thread computes a part as well.
        others = max(1, placement.threads - 1)
        # A thread holds a reference to its initialiser: a method of this object would keep the
        # object, and with it the threads, alive.
        self._others = ThreadPoolExecutor(others, "parallel", self._affinity.add_current_thread)

    def calibrate(self, widths: Mapping[str, int]) -> None:
        """Measure how many images a part needs to be worth waking a thread for.

        ``widths`` are those of the graph's inputs.
        """
        row = arrays.zeros(widths, 1)
        seconds = min(timeit.repeat(lambda: self._draw(row), number=1, repeat=_TRIES))
        self._min_images = math.ceil(WAKE_UP_SECONDS / seconds)

    def __call__(self, inputs: GraphInputs) -> Pixels:
        """Inputs of n ≥ 1 images to uint8 ``(n, height, width, channels)``."""
        count = self.parts(arrays.count(inputs))
        if count == 1:
            return self._draw(inputs)
        own, *others = arrays.split(inputs, count)
        self._affinity.avoid_current_cpu()
        drawn = [self._others.submit(self._draw, part) for part in others]
        return np.concatenate([self._draw(own), *(part.result() for part in drawn)])

    def parts(self, images: int) -> int:
        """How many parts a batch of ``images`` is split into."""
        return max(1, min(self._threads, images // self._min_images))

    def _draw(self, inputs: GraphInputs) -> Pixels:
        pixels: Pixels
        (pixels,) = self.session.run([OUTPUT], inputs)
        return pixels
