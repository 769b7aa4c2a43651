"""Runs the graph of an encoder on onnxruntime's CPU provider."""

import time

import numpy as np

from app.artifact.card import CLASSES, IMAGES, INPUT
from app.runtime.cpus import available
from training.errors import ExportError
from training.evaluation.metrics import ImageBytes
from training.gan.conditional import Rows
from training.gan.pixels import BATCH, Track


class Session:
    """The graph of an encoder."""

    def __init__(self, graph: bytes, threads: int | None = None) -> None:
        """Load ``graph`` for ``threads`` CPU threads, by default as many as there are CPUs.

        Raises ExportError if onnxruntime is missing or cannot load it.
        """
        try:
            from app.runtime.providers import GraphError, Placement, session
        except ImportError as error:
            raise ExportError("an encoder needs onnxruntime: pip install '.[cpu]'") from error
        try:
            self._session = session(graph, Placement("cpu", threads or available()))
        except GraphError as error:
            raise ExportError(f"the encoder: {error}") from error
        names = [output.name for output in self._session.get_outputs()]
        self._names = [name for name in (INPUT, CLASSES) if name in names]

    def rows(self, images: ImageBytes, track: Track = iter) -> Rows:
        """The generator's inputs ``(n, z + k)`` for uint8 images ``(n, c, h, w)``."""
        found = []
        for start in track(range(0, len(images), BATCH)):
            batch = images[start : start + BATCH].transpose(0, 2, 3, 1)
            parts = self._session.run(self._names, {IMAGES: np.ascontiguousarray(batch)})
            found.append(np.hstack(parts))
        return np.concatenate(found)


def milliseconds(graph: bytes, images: ImageBytes) -> float:
    """The CPU time for one image on one thread, the mean over ``images``, each encoded alone."""
    session = Session(graph, threads=1)
    began = time.process_time()
    for image in images:
        session.rows(image[None])
    return (time.process_time() - began) / len(images) * 1000
