"""What a data set is to the trainer: one array of images, and whose they are."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageSet:
    """Every image of a data set, with its provenance."""

    name: str
    licence: str
    pixels: NDArray[np.uint8]
    """``(n, channels, height, width)``."""
