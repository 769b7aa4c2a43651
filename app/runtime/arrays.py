"""The arrays that a generator's graph takes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

GraphInputs = Mapping[str, NDArray[Any]]
"""Arrays by the names of the graph's inputs; the first axis of each counts the images."""


def count(inputs: GraphInputs) -> int:
    """The number of images in ``inputs``."""
    return len(next(iter(inputs.values())))


def part(inputs: GraphInputs, which: slice) -> GraphInputs:
    """The inputs of some of the images."""
    return {name: values[which] for name, values in inputs.items()}


def split(inputs: GraphInputs, parts: int) -> list[GraphInputs]:
    """The inputs in nearly equal parts, the larger ones first."""
    pieces = (np.array_split(values, parts) for values in inputs.values())
    return [dict(zip(inputs, piece, strict=True)) for piece in zip(*pieces, strict=True)]


def zeros(widths: Mapping[str, int], images: int) -> GraphInputs:
    """Zeros, float32 ``(images, width)``, for the inputs with these ``widths``."""
    return {name: np.zeros((images, width), np.float32) for name, width in widths.items()}
