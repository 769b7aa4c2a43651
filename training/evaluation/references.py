"""What a generator is measured with: a feature network, and the real images to compare with."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training import config
from training.config import FOLDER, Config
from training.data import datasets
from training.data.download_progress import DownloadProgress
from training.data.folder_files import ignore_skipped
from training.data.images import ImageSet, resize
from training.errors import DataError, EvaluationError
from training.evaluation import feature_file, features, labelled_data
from training.evaluation.features import NETWORKS, NetworkSpec
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.options import MIN_SAMPLES, EvaluateOptions, ReferenceOptions
from training.image_size import ImageSize

TEST_IMAGES = "test images"
KEPT_IMAGES = "training images kept from the feature network"
"""The images that stand for test images if a run of a folder holds out none."""
STAND_INS = "training images that stand for test images"
"""The same if there is no feature network."""


class Features(NamedTuple):
    """A feature network."""

    network: nn.Sequential
    spec: NetworkSpec


class Reference(NamedTuple):
    """A feature network and real images."""

    features: Features | None
    """None if there is none for such images, but the FID is measured."""
    train: LabelledImages
    test: LabelledImages
    place: Path
    """The folder that the images were read from."""
    title: str = TEST_IMAGES
    """What ``test`` are."""


def load(model: LoadedModel, options: EvaluateOptions, device: torch.device) -> Reference:
    """What ``model`` is measured with; the network is on ``device``.

    Only images of the classes that it was trained on. Raises EvaluationError if there is no feature
    network and ``options`` do not ask for the FID, which needs none, and DataError if images are
    missing, damaged, too few or of another shape.
    """
    of_folder = model.dataset.startswith(FOLDER)
    found = _of_folder(model, options) if of_folder else _of_published(model, options)
    for images in (found.train, found.test):
        if (shape := images.pixels.shape[1:]) != model.image_shape:
            raise DataError(
                f"{found.place}: its images have the shape {shape}, "
                f"those of {model.title} {model.image_shape}"
            )
    if len(found.test.pixels) < MIN_SAMPLES:
        raise DataError(
            f"{found.place}: has {len(found.test.pixels)} {found.title}, fewer than {MIN_SAMPLES}"
        )
    if found.features is None:
        return found
    network, spec = found.features
    return found._replace(features=Features(network.to(device), spec))


def names_of(model: LoadedModel) -> tuple[str, ...]:
    """The classes or attributes that ``model`` was trained on; empty if it does not say."""
    return model.sampler.names if model.sampler else model.classes


def spec_of(model: LoadedModel) -> NetworkSpec:
    """The shipped feature network for ``model``. Raises EvaluationError if there is none."""
    if model.dataset not in NETWORKS:
        raise EvaluationError(
            f"{model.title}: there is no feature network for its data set {model.dataset}, "
            f"only for {', '.join(NETWORKS)}"
        )
    return NETWORKS[model.dataset]


def shuffled(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The numbers of images in a random order, always the same: a folder's are sorted by name."""
    return np.random.default_rng(0).permutation(len(pixels))


def _of_published(model: LoadedModel, options: EvaluateOptions) -> Reference:
    whole = spec_of(model)
    if options.features:
        raise EvaluationError(f"--features {options.features}: {whole.path.name} is for its images")
    size, own = map(ImageSize.of_shape, (model.image_shape, whole.image_shape))
    names = names_of(model) or whole.names
    if size != own and not options.inception:
        raise EvaluationError(
            f"{model.title}: there is no feature network for images of {model.dataset} of the size "
            f"{size}, only for those of {own}; --inception measures the FID of any size"
        )
    found = labelled_data.load(whole, options.data_dir)
    train, test = (
        labelled_data.of_names(images, whole, names) for images in (found.train, found.test)
    )
    if size != own:
        train, test = (one._replace(pixels=resize(one.pixels, size)) for one in (train, test))
        return Reference(None, train, test, found.folder)
    network = Features(*features.restricted(features.load(whole), whole, names))
    return Reference(network, train, test, found.folder)


def folder_network(
    model: LoadedModel, options: ReferenceOptions
) -> tuple[Path, NetworkSpec, nn.Sequential]:
    """The folder of the images of ``model``, and the feature network for them.

    Raises EvaluationError if the folder is unknown, and as ``feature_file.load`` does.
    """
    place, file = _places(model, options)
    return place, *feature_file.load(file, model.image_shape, place)


def _places(model: LoadedModel, options: ReferenceOptions) -> tuple[Path, Path]:
    """The folder of the images of ``model``, and the file of the feature network for them.

    Raises EvaluationError if the folder is unknown.
    """
    own = config.folder_of(model.options.get("dataset"))
    place = options.data_dir or (own if model.run else None)
    if place is None:
        raise EvaluationError(
            f"{model.title}: name the folder of its images by --data-dir, as its card does not"
        )
    copy = model.run.features if model.run and model.run.features.exists() else None
    return place, options.features or copy or config.feature_file(place)


def _optional(model: LoadedModel, options: EvaluateOptions, file: Path) -> bool:
    """Whether to do without the network in ``file``, which is missing or for other images."""
    if options.features or not options.inception:
        return False
    return not file.exists() or feature_file.read(file)[0].image_shape != model.image_shape


def _of_folder(model: LoadedModel, options: EvaluateOptions) -> Reference:
    place, file = _places(model, options)
    network = None if _optional(model, options, file) else _of_file(file, model, place)
    wanted = Config.model_validate(
        {
            "dataset": f"{FOLDER}{place}",
            "image_size": ImageSize.of_shape(model.image_shape),
            "batch_size": 2,
            "test_share": model.options.get("test_share", 0),
            "classes": ",".join(model.classes),
            "conditional": "auto" if names_of(model) else "none",
        }
    )
    with DownloadProgress() as progress:
        parts = datasets.load_with_reference(wanted, progress, ignore_skipped)
    train, test = map(_labelled, parts)
    kept = KEPT_IMAGES if network else STAND_INS
    return Reference(network, train, test, place, TEST_IMAGES if wanted.test_share else kept)


def _of_file(file: Path, model: LoadedModel, place: Path) -> Features:
    """The network in ``file`` for images of ``model``, which are in ``place``."""
    spec, network = feature_file.load(file, model.image_shape, place)
    if spec.names:
        network, spec = features.restricted(network, spec, names_of(model) or spec.names)
    return Features(network, spec)


def _labelled(found: ImageSet) -> LabelledImages:
    """The images in a random order; without labels all have the number 0."""
    order = shuffled(found.pixels)
    labels = found.labels.values if found.labels else np.zeros(len(order), np.uint8)
    return LabelledImages(found.pixels[order], labels[order])
