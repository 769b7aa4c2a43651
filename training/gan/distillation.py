"""How far a generator's images are from those of its teacher."""

from torch import Tensor
from torch.nn.functional import avg_pool2d


def image_distance(images: Tensor, taught: Tensor) -> Tensor:
    """The mean absolute difference of two batches ``(n, c, h, w)`` on two scales, a scalar.

    The distance of the pixels, plus that of the means of 2×2 pixels.
    """
    difference = images - taught
    return difference.abs().mean() + avg_pool2d(difference, 2).abs().mean()
