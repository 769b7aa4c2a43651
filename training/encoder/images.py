"""The real images on which an encoder is trained and measured."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.latent.conditions import Conditions, one_hot
from training.config import LABELLED, Config
from training.data import conditions, datasets, held_out
from training.data.avatars import dataset as avatars
from training.data.download_progress import DownloadProgress
from training.data.folder_files import ignore_skipped
from training.data.images import ImageSet
from training.encoder.options import EncoderOptions
from training.encoder.subject import Subject
from training.errors import DataError
from training.evaluation import features, labelled_data
from training.evaluation.features import NETWORKS
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.references import names_of
from training.image_size import ImageSize
from training.run.journal import Run

_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.1, 1000
"""The share of images, and at most how many, are test images where the data set has none."""


@dataclass(frozen=True)
class Images:
    """Real images, with the classes or attributes that the generator takes if they are known."""

    pixels: NDArray[np.uint8]
    """``(n, channels, height, width)``."""
    conditions: Conditions | None
    """``(n, k)``."""


@dataclass(frozen=True)
class RealImages:
    """The images to train on, and others to measure with."""

    train: Images
    test: Images


def load(subject: Subject, folder: Path, options: EncoderOptions) -> RealImages | None:
    """The images that ``options`` name, else those of the generator's data set.

    They are None with ``--no-real-images``. Where the data set has no test images of this size,
    some of the training images are set aside. Raises DataError if they cannot be found or read.
    """
    if not options.real_images:
        return None
    model = subject.model
    shipped = features.spec_for(model.dataset, model.image_shape)
    if shipped and options.dataset in {None, model.dataset}:
        splits = labelled_data.load(NETWORKS[model.dataset], options.data_dir)
        return RealImages(*(_labelled(subject, images) for images in (splits.train, splits.test)))
    config = _config(subject, folder, options)
    with DownloadProgress() as progress:
        if config.test_share:
            parts = datasets.load_with_reference(config, progress, ignore_skipped)
        else:
            parts = _split(datasets.load(config, progress, ignore_skipped))
    return RealImages(*(_conditioned(model, part) for part in parts))


def _split(found: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The images to train on, and those that are set aside; always the same ones."""
    share = min(_HELD_OUT_SHARE, _MOST_HELD_OUT / len(found.pixels))
    return held_out.split(found, held_out.test_images(held_out.Order.of(found.pixels), share))


def _conditioned(model: LoadedModel, found: ImageSet) -> Images:
    """The images with the labels that the generator takes, if they have these."""
    if (shape := found.pixels.shape[1:]) != model.image_shape:
        raise DataError(
            f"{found.name}: its images have the shape {shape}, "
            f"those of {model.title} {model.image_shape}"
        )
    names = found.labels.names if found.labels else ()
    known = found.labels if model.sampler and names == model.sampler.names else None
    return Images(found.pixels, conditions.conditions(known) if known else None)


def _labelled(subject: Subject, found: LabelledImages) -> Images:
    """Images with the labels that the generator takes; only those of its classes."""
    spec = NETWORKS[subject.model.dataset]
    names = names_of(subject.model) or spec.names
    pixels, labels = labelled_data.of_names(found, spec, names)
    if subject.model.sampler is None:
        return Images(pixels, None)
    hot = one_hot(labels, len(names)) if spec.exclusive else labels.astype(np.float32)
    return Images(pixels, hot)


def _config(subject: Subject, folder: Path, options: EncoderOptions) -> Config:
    """The options that load the images. Raises DataError if their data set is unknown."""
    model, named = subject.model, options.dataset
    changes = {"data_dir": options.data_dir} if options.data_dir else {}
    if named is None and model.step is not None:
        return Run(folder).config().model_copy(update=changes)
    if named is None and model.dataset not in {*LABELLED, avatars.NAME}:
        raise DataError(
            f"{model.title}: was trained on {model.dataset}, which is no data set known here; name "
            "real images by --dataset folder:PATH, or omit them by --no-real-images"
        )
    size = ImageSize.of_shape(model.image_shape)
    return Config.model_validate(
        {"dataset": named or model.dataset, "image_size": size, "batch_size": 2, **changes}
    )
