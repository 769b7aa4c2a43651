"""Real images with what is known of them: what feature networks learn and are measured by."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data import idx
from training.data.avatars import dataset
from training.data.avatars.dataset import Avatars
from training.data.download_progress import DownloadProgress
from training.errors import DataError
from training.evaluation.features import Labels, Shipped


class Part(NamedTuple):
    """The training images, or the test images."""

    pixels: NDArray[np.uint8]
    """``(n, channels, height, width)``."""
    labels: Labels


class Real(NamedTuple):
    """Both parts of a data set, and the folder that they came from."""

    folder: Path
    train: Part
    test: Part


def read(shipped: Shipped, data_dir: Path | None) -> Real:
    """The data set that ``shipped`` is for, in ``data_dir`` or where it usually is.

    Raises DataError where it is missing, damaged, or knows other attributes than ``shipped``.
    """
    if shipped.dataset == dataset.NAME:
        return _faces(shipped, data_dir or dataset.DEFAULT_FOLDER)
    with DownloadProgress() as downloads:
        folder = idx.locate(idx.FASHION_MNIST, data_dir, downloads)
    train, test = (
        Part(idx.images(folder, split), idx.labels(folder, split)) for split in ("train", "t10k")
    )
    return Real(folder, train, test)


def _faces(shipped: Shipped, folder: Path) -> Real:
    found = dataset.read(folder)
    if tuple(found.attributes) != shipped.names:
        raise DataError(
            f"{folder / dataset.FILE}: has the attributes {', '.join(found.attributes)}, "
            f"not {', '.join(shipped.names)}"
        )
    return Real(folder, _part(found.training), _part(found.test))


def _part(faces: Avatars) -> Part:
    return Part(faces.images, np.stack(list(faces.attributes.values()), axis=1))
