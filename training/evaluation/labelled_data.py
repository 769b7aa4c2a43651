"""Real images with labels: training data of the feature networks, reference of the metrics."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.data import idx
from training.data.avatars import dataset as avatars
from training.data.avatars.dataset import Avatars
from training.data.download_progress import DownloadProgress
from training.data.labels import ImageLabels
from training.errors import DataError
from training.evaluation.features import Labels, NetworkSpec


class LabelledImages(NamedTuple):
    """Images and their labels."""

    pixels: NDArray[np.uint8]
    """``(n, channels, height, width)``."""
    labels: Labels


class LabelledSplits(NamedTuple):
    """The training and the test images of a data set, and the folder they were read from."""

    folder: Path
    train: LabelledImages
    test: LabelledImages


def load(spec: NetworkSpec, data_dir: Path | None) -> LabelledSplits:
    """The data set of the feature network ``spec``, from ``data_dir`` or its default folder.

    Raises DataError if it is missing, damaged, or has other attributes than ``spec``.
    """
    if spec.dataset == avatars.NAME:
        return _load_avatars(spec, data_dir or avatars.DEFAULT_FOLDER)
    published = idx.PUBLISHED[spec.dataset]
    with DownloadProgress() as progress:
        folder = idx.locate(published, data_dir, progress)
    train, test = (
        LabelledImages(*idx.labelled(published, folder, split)) for split in ("train", "t10k")
    )
    return LabelledSplits(folder, train, test)


def of_names(images: LabelledImages, spec: NetworkSpec, names: Sequence[str]) -> LabelledImages:
    """The images of the classes ``names`` of ``spec`` only; for attributes, all with only these.

    Classes are numbered, and attributes ordered, as in ``names``.
    """
    if tuple(names) == spec.names:
        return images
    labels = ImageLabels(spec.names, spec.exclusive, images.labels.astype(np.uint8))
    rows, chosen = labels.subset(names)
    return LabelledImages(images.pixels[rows], chosen.values.astype(images.labels.dtype))


def _load_avatars(spec: NetworkSpec, folder: Path) -> LabelledSplits:
    found = avatars.read(folder)
    if tuple(found.attributes) != spec.names:
        raise DataError(
            f"{folder / avatars.FILE}: has the attributes {', '.join(found.attributes)}, "
            f"not {', '.join(spec.names)}"
        )
    return LabelledSplits(folder, _labelled(found.training), _labelled(found.test))


def _labelled(faces: Avatars) -> LabelledImages:
    return LabelledImages(faces.images, np.stack(list(faces.attributes.values()), axis=1))
