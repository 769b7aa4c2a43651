"""What every data set becomes: one uint8 array of images, with name, licence and labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.imaging.crop import centre_box
from training.data.labels import ImageLabels
from training.errors import DataError
from training.image_size import ImageSize

ByteCount = Callable[[str, int, int], None]
"""Progress callback: called with a name, the bytes read so far and the total number of bytes."""


@dataclass(frozen=True)
class ImageSet:
    """All images of a data set, with its name, its licence and their labels."""

    name: str
    licence: str
    pixels: NDArray[np.uint8]
    """``(n, channels, height, width)``."""
    labels: ImageLabels | None = None
    """The class or the attributes of each image; None if they are unknown."""
    held_out: int = 0
    """Number of images that were found, too, but are held out as test images."""
    near_duplicates: int = 0
    """Number of images found that are nearly equal to another one, if any are held out."""

    def subset(self, names: Sequence[str]) -> "ImageSet":
        """The images of the classes ``names`` only; for attributes, all images with only these.

        Raises DataError if the images have no labels, or if a name is unknown or repeated.
        """
        if self.labels is None:
            raise DataError(f"{self.name}: its images have neither classes nor attributes")
        rows, labels = self.labels.subset(names)
        pixels = self.pixels if len(rows) == len(self.pixels) else self.pixels[rows]
        return replace(self, pixels=pixels, labels=labels)


def fit_centre(image: Image.Image, size: ImageSize) -> Image.Image:
    """The centre of ``image`` with the proportions of ``size``, resized to it (Lanczos filter)."""
    return image.crop(centre_box(image.size, size)).resize(size, Image.Resampling.LANCZOS)


def resize(pixels: NDArray[np.uint8], size: ImageSize) -> NDArray[np.uint8]:
    """Grey or RGB images ``(n, c, height, width)`` as ``(n, c, size.height, size.width)``.

    Each image is cropped and resized by ``fit_centre``. Images that already have this size are
    returned without a copy.
    """
    count, channels, height, width = pixels.shape
    if (width, height) == size:
        return pixels
    # Pillow's grey images have no channel axis.
    shape = (height, width) if channels == 1 else (height, width, channels)
    resized = np.empty((count, channels, size.height, size.width), dtype=np.uint8)
    for target, image in zip(resized, pixels.transpose(0, 2, 3, 1), strict=True):
        fitted = np.asarray(fit_centre(Image.fromarray(image.reshape(shape)), size))
        target[:] = fitted.reshape(size.height, size.width, channels).transpose(2, 0, 1)
    return resized
