"""A loaded encoder: from images to the inputs of the generator that would draw them.

It always runs on the CPU: it is small, and a request rarely has more than a few images.
"""

from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from app.artifact.card import IMAGES, Card, CardError
from app.runtime import engine, providers
from app.runtime.arrays import GraphInputs
from app.runtime.providers import GraphError, Placement

_WARM_UP: Final = (1, 2)
"""The batches with which it is warmed up."""


class ImageEncoder:
    """Computes the latents of a batch of images, and the probabilities of their classes."""

    def __init__(self, card: Card, graph: bytes, threads: int) -> None:
        """Load ``graph``, compare it with ``card`` and warm it up; ``threads`` is of CPU threads.

        Raises CardError if the graph cannot be loaded or does not match the card.
        """
        self._outputs = [*card.inputs]
        try:
            self._session = providers.session(graph, Placement("cpu", threads))
        except GraphError as error:
            raise CardError(str(error)) from error
        check_signature(card, self._session)
        for images in _WARM_UP:
            found = self({IMAGES: np.zeros((images, *card.image.shape), np.uint8)})
            if len(found) != images:
                raise CardError(f"{images} images gave {len(found)} latents")

    def __call__(self, inputs: GraphInputs) -> NDArray[np.float32]:
        """Uint8 ``(n, height, width, channels)`` to float32 ``(n, z + k)``.

        The latents come first, then the probabilities of k classes or attributes, if any.
        """
        return np.concatenate(self._session.run(self._outputs, inputs), axis=1)


def check_signature(card: Card, session: ort.InferenceSession) -> None:
    """Raise CardError unless the inputs and outputs of ``session`` match ``card``."""
    expected = {
        "input": {IMAGES: (card.image.dtype, [*card.image.shape])},
        "output": {name: ("float32", [width]) for name, width in card.inputs.items()},
    }
    found = {
        "input": engine.signature(session.get_inputs()),
        "output": engine.signature(session.get_outputs()),
    }
    engine.compare("encoder", found, expected)
