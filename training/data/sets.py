"""Which data set a name means."""

import numpy as np
from numpy.typing import NDArray

from training.config import ALLOWED_SIZES, IMAGE_SIZES, LABELLED, Config
from training.data import folder, idx
from training.data.avatars import dataset
from training.data.folder import Skipped
from training.data.idx import Published
from training.data.images import ByteCount, ImageSet, scaled
from training.errors import DataError

FOLDERS_SIZE = 64
"""Height and width of a folder's images where nothing is said: they have no size in common."""


def load(config: Config, progress: ByteCount, skipped: Skipped) -> ImageSet:
    """The images that ``config`` names, in the size that it asks for.

    Raises DataError where they are missing, damaged, too few, or of a size no network is made for.
    """
    if config.dataset == dataset.NAME:
        return _in_size(dataset.load(config.data_dir), config.image_size)
    if config.folder is None:
        return _published(config, progress)
    if config.data_dir is not None:
        raise DataError(f"--data-dir {config.data_dir}: --dataset names its folder already")
    size = config.image_size or FOLDERS_SIZE
    return folder.load(config.folder, size, config.batch_size, progress, skipped)


def test(config: Config, progress: ByteCount) -> NDArray[np.uint8] | None:
    """The test images ``(n, c, h, w)`` of what ``config`` names, in the size that it asks for.

    None where there are none: a folder has no such part, nor has a handful of faces. Raises
    DataError where they are missing or damaged.
    """
    if config.dataset == dataset.NAME:
        pixels = dataset.read(config.data_dir or dataset.PLACE).test.images
    elif config.dataset in LABELLED:
        pixels = idx.images(idx.locate(_named(config), config.data_dir, progress), "t10k")
    else:
        return None
    if not len(pixels):
        return None
    return pixels if config.image_size is None else scaled(pixels, config.image_size)


def labelled(
    config: Config, split: str, progress: ByteCount
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images ``(n, 1, h, w)`` and classes ``(n,)`` of ``split``, ``train`` or ``t10k``.

    In the size that ``config`` asks for. Raises DataError where they are missing or damaged, and
    for a data set whose images have no classes.
    """
    if config.dataset not in LABELLED:
        raise DataError(f"--dataset {config.dataset}: its images have no classes")
    found = idx.locate(_named(config), config.data_dir, progress)
    pixels = idx.images(found, split)
    if config.image_size is not None:
        pixels = scaled(pixels, config.image_size)
    return pixels, idx.labels(found, split)


def _named(config: Config) -> Published:
    return idx.MNIST if config.dataset == "mnist" else idx.FASHION_MNIST


def _published(config: Config, progress: ByteCount) -> ImageSet:
    found = idx.load(_named(config), config.data_dir, progress)
    height, width = found.pixels.shape[2:]
    if config.image_size is not None:
        return _in_size(found, config.image_size)
    if height != width or height not in IMAGE_SIZES:
        raise DataError(
            f"{found.name}: its images are {width}×{height}; say by --image-size to which size "
            f"they are to be scaled, {ALLOWED_SIZES}"
        )
    return found


def _in_size(found: ImageSet, size: int | None) -> ImageSet:
    """``found`` with its images scaled to ``size``; for None as it is."""
    if size is None:
        return found
    return ImageSet(found.name, found.licence, scaled(found.pixels, size))
