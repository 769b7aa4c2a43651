"""What recognises the attributes of generated images: a feature network, or one's own labels.

Of a person's own labels, a linear classifier on the features of a network learns the attributes.
"""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from app.latent.conditions import AttributeSampler
from training.config import FOLDER
from training.data import image_file, label_file
from training.data.label_file import LabelFile
from training.errors import DataError, EvaluationError
from training.evaluation import feature_training, features, labelled_data, references
from training.evaluation.features import NetworkSpec
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.options import AttributesOptions
from training.evaluation.progress import bar
from training.image_size import ImageSize

LEAST = 10
"""Fewest labelled images with an attribute, and fewest without it."""

_PENALTY = 10.0
"""Weight of the L2 penalty: labels are few, and features are 64."""
_LEAST_DEVIATION = 1e-6
"""Features that hardly vary are not amplified."""
_TESTED = 5
"""One in so many labelled images measures the accuracy."""

ImageBytes = NDArray[np.uint8]


class Recogniser(NamedTuple):
    """A network that recognises attributes."""

    network: nn.Sequential
    """As ``features.build`` makes it, in eval mode, on the CPU."""
    spec: NetworkSpec
    description: str
    """What it is, for a protocol."""


def of(model: LoadedModel, options: AttributesOptions) -> Recogniser:
    """What recognises attributes in images of ``model``.

    It is the shipped network for its data set, or one that is made for ``options.labels``, whose
    accuracy is printed. Raises EvaluationError if there is no network, or if the attributes are
    inputs of the generator; DataError for labels that are damaged or too few.
    """
    if options.labels is None:
        spec = _shipped_spec(model)
        return Recogniser(features.load(spec), spec, spec.description)
    labels = label_file.read(options.labels)
    _check(labels, model)
    if model.dataset.startswith(FOLDER):
        place, spec, network = references.folder_network(model, options)
        pixels = _of_files(labels, place, model.image_shape)
    else:
        spec = references.spec_of(model)
        network = features.load(spec)
        pixels = _of_indices(labels, labelled_data.load(spec, options.data_dir).train.pixels)
    return _fitted(labels, pixels, network, spec)


def _shipped_spec(model: LoadedModel) -> NetworkSpec:
    spec = references.spec_of(model)
    if spec.exclusive:
        raise EvaluationError(
            f"{model.title}: the images of its data set {model.dataset} have classes, but no "
            "attributes that could be edited; --labels FILE.csv names some"
        )
    if model.sampler:
        raise EvaluationError(
            f"{model.title}: is conditional: its attributes are inputs of the generator, which "
            "change them without directions"
        )
    return spec


def _check(labels: LabelFile, model: LoadedModel) -> None:
    """Raise DataError for attributes that too few images have, or that the generator takes."""
    taken = model.sampler.names if isinstance(model.sampler, AttributeSampler) else ()
    for name, column in zip(labels.names, labels.has.T, strict=True):
        if name in taken:
            raise DataError(f"{labels.path}: {name} is an input of the generator already")
        having, count = int(column.sum()), len(column)
        if min(having, count - having) < LEAST:
            raise DataError(
                f"{labels.path}: of its {count} images {having} have {name}; {LEAST} or more must "
                f"have it, and {LEAST} or more must not"
            )


def _of_files(labels: LabelFile, folder: Path, shape: tuple[int, int, int]) -> ImageBytes:
    """The images that the labels name, which are in ``folder``: ``(n, *shape)``."""
    size = ImageSize.of_shape(shape)
    found = []
    for k, name in enumerate(tqdm(labels.images, unit="image")):
        if not (folder / name).is_file():
            raise labels.error(k, f"there is no file {name} in {folder}")
        try:
            found.append(image_file.read(folder / name, size))
        except DataError as error:
            raise labels.error(k, f"{name}: {error}") from error
    largest = max((int(one.max()) for one in found if one.dtype == np.uint16), default=0)
    pixels = np.empty((len(found), 3, size.height, size.width), np.uint8)
    for place, image in zip(pixels, found, strict=True):
        deep = image.dtype == np.uint16
        place[:] = image_file.eight_bits(image.astype(np.uint16), largest) if deep else image
    return pixels[:, : shape[0]]  # the channels of grey images are equal


def _of_indices(labels: LabelFile, pixels: ImageBytes) -> ImageBytes:
    """The images whose indices the labels name."""
    for k, text in enumerate(labels.images):
        if not text.isdecimal() or int(text) >= len(pixels):
            allowed = f"0 to {len(pixels) - 1}"
            raise labels.error(k, f"{text} is no index of a training image, {allowed}")
    return pixels[[int(text) for text in labels.images]]


def _fitted(
    labels: LabelFile, pixels: ImageBytes, network: nn.Sequential, spec: NetworkSpec
) -> Recogniser:
    """``network`` with another head, which recognises the attributes; prints its accuracy."""
    if (shape := pixels.shape[1:]) != spec.image_shape:
        raise DataError(
            f"{labels.path}: its images have the shape {shape}, those of {spec.path.name} "
            f"{spec.image_shape}"
        )
    order = np.random.default_rng(0).permutation(len(pixels))
    tested, fitted = np.split(order, [len(order) // _TESTED])
    track = bar("features of labelled images")
    found = features.extract(network, pixels[fitted], spec, track).features
    head = nn.Sequential(nn.ReLU(), _classifier(np.maximum(found, 0), labels.has[fitted]))
    own = nn.Sequential(OrderedDict(body=network.get_submodule("body"), head=head)).eval()
    known = replace(spec, names=labels.names, exclusive=False, accuracy=None)
    has = labels.has[tested]
    correct = features.extract(own, pixels[tested], known).labels == has
    print(*feature_training.accuracy_table(labels.names, has, correct), sep="\n")
    print(f"accuracy: on {len(tested)} labelled images that the classifier has not seen")
    description = (
        f"a linear classifier of {labels.path.name}, fitted to {len(fitted)} images, on "
        f"{spec.description}"
    )
    return Recogniser(own, replace(known, accuracy=float(correct.mean())), description)


def _classifier(hidden: NDArray[np.float32], has: NDArray[np.bool_]) -> nn.Linear:
    """A logistic regression of each attribute ``(n, k)`` on ``hidden`` ``(n, d)``."""
    from sklearn.linear_model import LogisticRegression  # the import takes seconds

    mean, deviation = hidden.mean(axis=0), np.maximum(hidden.std(axis=0), _LEAST_DEVIATION)
    fits = [
        LogisticRegression(C=1 / _PENALTY, max_iter=1000).fit((hidden - mean) / deviation, column)
        for column in has.T
    ]
    weights = np.concatenate([fit.coef_ for fit in fits]) / deviation
    bias = np.concatenate([fit.intercept_ for fit in fits]) - weights @ mean
    linear = nn.Linear(*weights.shape[::-1])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(bias))
    return linear
