"""Loads the data set that a configuration names."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.config import LABELLED, MAX_TEST_SHARE, Config
from training.data import conditions, folder, held_out, idx
from training.data.avatars import dataset as avatars
from training.data.folder import FolderOptions
from training.data.folder_files import OnSkip, check_folder, ignore_skipped
from training.data.idx import LabelledImages, PublishedDataset
from training.data.images import ByteCount, ImageSet, resize
from training.errors import DataError
from training.image_size import ALLOWED_SIZES, ImageSize

DEFAULT = idx.FASHION_MNIST.name
"""The data set that is read if none is named."""

FOLDER_IMAGE_SIZE = ImageSize.square(64)
"""Default size for an image folder, whose images have no common size."""


def check(config: Config) -> None:
    """Raise DataError if options contradict the data set, or name no folder. Reads no file."""
    if config.folder is None:
        own = f"{config.dataset or DEFAULT} has its own; omit it"
        if config.test_share:
            raise DataError(f"--test-share {config.test_share:g}: test images: {own}")
        if config.features:
            raise DataError(f"--features {config.features}: a feature network: {own}")
        if config.data_dir is not None:
            check_folder(f"--data-dir {config.data_dir}", config.data_dir)
        return
    if config.data_dir is not None:
        raise DataError(f"--data-dir {config.data_dir}: --dataset already names a folder")
    check_folder(f"--dataset {config.dataset}", config.folder)


def load(config: Config, progress: ByteCount, on_skip: OnSkip) -> ImageSet:
    """The training images of ``config.dataset``, resized to ``config.image_size``, with labels.

    They are those of ``config.classes``, with the labels that ``config.conditional`` requests.
    Raises DataError if the images are missing, damaged, too few, or of a size that no network
    supports, or if they have no such labels.
    """
    found = _load(config, progress, on_skip)
    if config.test_share:
        order = held_out.Order.of(found.pixels)
        found, _ = held_out.split(found, _test_rows(order, config))
        found = replace(found, near_duplicates=order.near_duplicates)
    return conditions.selected(found, config)


def load_with_reference(
    config: Config, progress: ByteCount, on_skip: OnSkip
) -> tuple[ImageSet, ImageSet]:
    """The images of a folder in two parts, with labels: for measurements, and their reference.

    The reference is the test images if ``config`` holds out any, else those of
    ``held_out.reference``, on which generators are trained, but no feature network. Raises
    DataError as ``load`` does.
    """
    found = _load(config, progress, on_skip)
    order = held_out.Order.of(found.pixels)
    rows = _test_rows(order, config) if config.test_share else held_out.reference(order)
    train, test = held_out.split(found, rows)
    return (
        conditions.selected(train, config),
        conditions.selected(test, config, complete=False),
    )


def _test_rows(order: held_out.Order, config: Config) -> held_out.Mask:
    """Which images are test images. Raises DataError if there are too few to measure anything."""
    share, count = config.test_share, len(order.places)
    rows = held_out.test_images(order, share)
    if (test := int(rows.sum())) < held_out.LEAST:
        enough = held_out.LEAST / count
        advice = f"use {enough:.2f} or more, or omit it" if enough <= MAX_TEST_SHARE else "omit it"
        raise DataError(
            f"--test-share {share:g}: these are {test} of {count} images, but must be "
            f"{held_out.LEAST} or more: {advice}"
        )
    return rows


def _load(config: Config, progress: ByteCount, on_skip: OnSkip) -> ImageSet:
    check(config)
    if config.dataset == avatars.NAME:
        return _resized(avatars.load(config.data_dir), config.image_size)
    if config.folder is None:
        return _load_published(config, progress)
    size = config.image_size or FOLDER_IMAGE_SIZE
    labelled = config.conditional != "none" or bool(config.classes)
    options = FolderOptions(size, config.batch_size, labelled)
    return folder.load(config.folder, options, progress, on_skip)


def load_test(config: Config, progress: ByteCount) -> NDArray[np.uint8] | None:
    """The test images ``(n, c, h, w)`` of ``config.dataset``, resized to ``config.image_size``.

    None if the data set has no test images, as an image folder of which none are held out, or fewer
    than five drawn faces.
    Raises DataError if they are missing or damaged.
    """
    if config.dataset == avatars.NAME:
        pixels = avatars.read(config.data_dir or avatars.DEFAULT_FOLDER).test.images
    elif config.dataset in {None, *LABELLED}:
        pixels = idx.images(idx.locate(_published(config), config.data_dir, progress), "t10k")
    elif config.test_share:
        return load_with_reference(config, progress, ignore_skipped)[1].pixels
    else:
        return None
    if not len(pixels):
        return None
    return pixels if config.image_size is None else resize(pixels, config.image_size)


def load_labelled(config: Config, split: str, progress: ByteCount) -> LabelledImages:
    """The images ``(n, 1, h, w)`` and classes ``(n,)`` of ``split``, ``train`` or ``t10k``.

    The images are resized to ``config.image_size``. Raises DataError if they are missing or
    damaged, or if the images of the data set have no classes.
    """
    if config.dataset not in {None, *LABELLED}:
        raise DataError(f"--dataset {config.dataset}: its images have no classes")
    published = _published(config)
    place = idx.locate(published, config.data_dir, progress)
    found = idx.labelled(published, place, split)
    if config.image_size is None:
        return found
    return found._replace(pixels=resize(found.pixels, config.image_size))


def _published(config: Config) -> PublishedDataset:
    return idx.PUBLISHED[config.dataset or DEFAULT]


def _load_published(config: Config, progress: ByteCount) -> ImageSet:
    found = idx.load(_published(config), config.data_dir, progress, named=bool(config.dataset))
    if config.image_size is not None:
        return _resized(found, config.image_size)
    size = ImageSize.of_shape(found.pixels.shape[1:])
    if not size.is_supported:
        raise DataError(
            f"{found.name}: its images are {size.width}×{size.height}, which no network supports; "
            f"resize them with --image-size, {ALLOWED_SIZES}"
        )
    return found


def _resized(found: ImageSet, size: ImageSize | None) -> ImageSet:
    """``found`` with its images resized to ``size``; unchanged if that is None."""
    if size is None:
        return found
    return replace(found, pixels=resize(found.pixels, size))
