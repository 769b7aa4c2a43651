"""Checks that features tell real images from others: noise, blur, and a collapsed generator."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import nn

from training.evaluation import distances, features
from training.evaluation.features import NetworkSpec

Pixels = NDArray[np.uint8]
"""Images ``(n, channels, height, width)``."""

REAL = "other real images"
LEAST_RATIO = 2.0
"""A change is seen if it multiplies the distance of other real images by so much."""

_DEVIATION = 25
_SEEDS = 0


def noisy(pixels: Pixels) -> Pixels:
    """``pixels`` with Gaussian noise of a standard deviation of 25 of 255."""
    random, out = np.random.default_rng(_SEEDS), np.empty_like(pixels)
    for target, image in zip(out, pixels, strict=True):  # the noise of all would take much memory
        noise = random.normal(0, _DEVIATION, image.shape)
        target[:] = (image + noise).round().clip(0, 255)
    return out


def blurred(pixels: Pixels) -> Pixels:
    """``pixels`` after a Gaussian filter with a standard deviation of one pixel."""
    out = np.empty_like(pixels)
    for target, image in zip(out, pixels, strict=True):
        for channel, values in zip(target, image, strict=True):
            channel[:] = Image.fromarray(values).filter(ImageFilter.GaussianBlur(1))
    return out


def collapsed(pixels: Pixels) -> Pixels:
    """As many images as ``pixels``, but only every tenth of them, ten times."""
    few = pixels[:: min(10, len(pixels))]
    return np.resize(few, pixels.shape)


CHANGES: Mapping[str, Callable[[Pixels], Pixels]] = {
    REAL: lambda pixels: pixels,
    "with noise": noisy,
    "blurred": blurred,
    "a tenth of them, ten times": collapsed,
}


def measure(
    network: nn.Sequential, spec: NetworkSpec, train: Pixels, others: Pixels
) -> dict[str, float]:
    """The Fréchet distance of ``others``, unchanged and after every change, to ``train``.

    Equally many images each time; the network has not been trained on ``others``.
    """
    reference = features.extract(network, train, spec).features
    return {
        name: distances.frechet(reference, features.extract(network, change(others), spec).features)
        for name, change in CHANGES.items()
    }


def table(found: Mapping[str, float]) -> Iterator[str]:
    """The distances as lines of text, with a warning for each change that is not seen."""
    real = found[REAL]
    yield f"{'':28}{'fd_cnn':>10}{'ratio':>8}"
    for name, distance in found.items():
        yield f"{name:28}{distance:10.4g}{distance / real:8.1f}"
    if unseen := [name for name in found if name != REAL and found[name] < LEAST_RATIO * real]:
        yield (
            f"warning: the features hardly tell {', '.join(unseen)} from real images; more images "
            "or more --epochs may help"
        )
