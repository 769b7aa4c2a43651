"""Takes sheets of the shipped Fashion-MNIST model apart."""

import numpy as np
from numpy.typing import NDArray

SIDE = 28


def tiles(sheet: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the images of a sheet, row by row: ``(rows, cols, 28, 28)``."""
    rows, cols = sheet.shape[0] // SIDE, sheet.shape[1] // SIDE
    return sheet.reshape(rows, SIDE, cols, SIDE).swapaxes(1, 2)
