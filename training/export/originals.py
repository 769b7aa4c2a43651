"""Images of an original generator, with which an imported one is compared.

The best evidence is a few latents with their images (``--check``). Of a picture of samples the
latents are unknown, so that it only shows whether such images are usual (``--reference``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from app.artifact.card import Image, Latent
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents, from_seeds
from training.errors import ExportError
from training.export.options import ImportOptions, Range
from training.export.two_samples import compare

Draw = Callable[[Latents], Pixels]

MAX_DIFFERENCE = 1.0
"""Largest accepted mean difference of a pixel, in grey levels."""
MIN_PROBABILITY = 0.01
"""Smallest accepted probability that chance explains how two sets of images differ."""
_COMPARED = 64
"""Largest number of images that are compared with latents."""
_DRAWN, _MIN_SAMPLES = 128, 16
"""Images with which a picture's samples are compared, and the fewest that it must have."""
_PADDINGS = (2, 0, 1, 3, 4, 5, 6, 7, 8)
"""Pixels between the images of a grid, the most usual first: 2 is torchvision's."""
_NEARLY = 2
"""Grey levels that look like black; as many below 255 look like white."""
_BOUNDS: dict[Range, tuple[float, float]] = {"tanh": (-1, 1), "sigmoid": (0, 1)}


@dataclass(frozen=True)
class Comparison:
    """How the images of a generator compare with those of the original."""

    fits: bool
    distance: float
    """Zero for equal images."""
    text: str


class Original(Protocol):
    """Images of the original generator."""

    path: Path

    def compare(self, draw: Draw, size: int, options: ImportOptions) -> Comparison:
        """Compare them with those that ``draw`` generates, of ``size`` × ``size`` pixels."""


class CheckedImages:
    """Latents of the original generator with the images that it drew."""

    def __init__(self, path: Path, latent: Latent, image: Image) -> None:
        """Read ``latents`` ``(n, z)`` and ``images`` ``(n, c, h, w)`` from an NPZ file."""
        self.path = path
        latents, images = _arrays(path)
        count, width = len(latents), latents.size // max(len(latents), 1)
        if not count or width != latent.width:
            raise ExportError(
                f"{path}: latents has the shape {latents.shape}, not (n, {latent.width})"
            )
        if images.ndim != 4 or images.shape[:2] != (count, image.channels):
            raise ExportError(
                f"{path}: images has the shape {images.shape}, not ({count}, {image.channels}, "
                "height, width)"
            )
        self._latents = latents.reshape(count, width)[:_COMPARED].astype(np.float32)
        self._images = images[:_COMPARED].astype(np.float32)

    def compare(self, draw: Draw, size: int, options: ImportOptions) -> Comparison:
        """The mean difference of a pixel decides."""
        if self._images.shape[2:] != (size, size):
            return _other_size(size)
        lowest, highest = _BOUNDS[options.range]
        expected = ((self._images - lowest) * (255 / (highest - lowest))).clip(0, 255).round()
        found = float(np.abs(draw(self._latents).transpose(0, 3, 1, 2) - expected).mean())
        text = f"its images differ from those of this network by {found:.2f} grey levels on average"
        return Comparison(found <= MAX_DIFFERENCE, found, text)


class SampleSheet:
    """A picture with a grid of images that the original generator drew."""

    def __init__(self, path: Path, latent: Latent, image: Image) -> None:
        """Read the picture. Raises ExportError if that is impossible."""
        self.path = path
        try:
            with Picture.open(path, formats=["PNG"]) as picture:
                pixels = np.asarray(picture.convert("L" if image.channels == 1 else "RGB"))
        except Exception as error:  # Pillow raises any kind of error for damaged files
            raise ExportError(f"{path}: cannot be read as PNG: {error}") from error
        self._pixels = pixels.reshape(*pixels.shape[:2], image.channels)
        self._latents = from_seeds(range(_DRAWN), latent.width, latent.prior)

    def compare(self, draw: Draw, size: int, options: ImportOptions) -> Comparison:  # noqa: ARG002
        """Decided by whether chance explains how the two sets of images differ.

        Raises ExportError if the picture shows too few images.
        """
        images = tiles(self._pixels, size)
        if not len(images):
            return _other_size(size)
        if len(images) < _MIN_SAMPLES:
            raise ExportError(
                f"{self.path}: shows {len(images)} images, but a comparison needs {_MIN_SAMPLES}"
            )
        drawn = draw(self._latents)
        distance, chance = min(compare(images, drawn), compare(images, _stretched(drawn, images)))
        text = f"samples of one network differ as its images and these in {chance:.1%} of cases"
        return Comparison(chance >= MIN_PROBABILITY, distance, text)


def _other_size(size: int) -> Comparison:
    return Comparison(False, float("inf"), f"its images are not {size}×{size}")


def _stretched(pixels: Pixels, images: Pixels) -> Pixels:
    """``pixels`` with the brightness and contrast of ``images``, if they lack black or white.

    torchvision's ``save_image`` stretches the range of a picture with ``normalize=True``.
    """
    if pixels.min() <= _NEARLY and pixels.max() >= 255 - _NEARLY:
        return pixels
    scaled = (pixels - pixels.mean()) * (images.std() / max(float(pixels.std()), 1))
    stretched: Pixels = (scaled + images.mean()).clip(0, 255).round().astype(np.uint8)
    return stretched


def _arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """The arrays ``latents`` and ``images`` in an NPZ file. Raises ExportError."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return np.atleast_1d(file["latents"]), file["images"]
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error}") from error
    except Exception as error:  # zipfile, zlib and NumPy raise any kind of error for other files
        raise ExportError(
            f"{path}: must be an NPZ file with the arrays latents and images: {error}"
        ) from error


def tiles(sheet: Pixels, size: int) -> Pixels:
    """The images ``(n, size, size, c)`` on ``sheet`` ``(h, w, c)``; none if it is no such grid.

    Between them are up to 8 pixels of one colour, which may surround the grid, as by torchvision's
    ``save_image``. Images of one colour are left out, because they are places without an image.
    """
    for padding, border in ((one, border) for one in _PADDINGS for border in (one, 0)):
        starts = [_starts(length, size, padding, border) for length in sheet.shape[:2]]
        gutters = np.ones(sheet.shape[:2], dtype=bool)
        found = []
        for top, left in product(*starts):
            gutters[top : top + size, left : left + size] = False
            found.append(sheet[top : top + size, left : left + size])
        between = sheet[gutters]
        if found and (between == between[:1]).all():
            return np.array([one for one in found if np.ptp(one, axis=(0, 1)).any()], np.uint8)
    return np.empty((0, size, size, sheet.shape[2]), np.uint8)


def _starts(length: int, size: int, padding: int, border: int) -> range:
    """Where the images begin along an axis of ``length`` pixels; empty if they do not fill it."""
    inner, step = length - 2 * border + padding, size + padding
    return range(border, border + inner, step) if inner % step == 0 else range(0)
