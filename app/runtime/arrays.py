"""Types of the arrays that a generator's graph takes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float32]
"""``(n, width)``."""

GraphInputs = Mapping[str, NDArray[np.generic]]
"""Arrays by the names of the graph's inputs; the first axis of each counts the images."""
