"""``features --dataset folder:PATH``: trains a feature network for the images of a folder.

It learns to tell the images from each other and, if they have classes, the classes. Classes alone
are not enough: a network that knows nothing but two classes sees no difference between the images
of one class, and so does not see that a generator draws only one of them.
"""

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from training import config
from training.config import Config
from training.data import datasets, held_out
from training.data.download_progress import DownloadProgress
from training.data.images import ImageSet
from training.data.skipped import SkipReport
from training.errors import DataError
from training.evaluation import feature_check, feature_file, features, instance_discrimination
from training.evaluation.feature_file import About
from training.evaluation.features import FEATURES, NetworkSpec
from training.evaluation.options import FeaturesOptions
from training.gan import hardware
from training.loop import device as devices
from training.loop.epochs import epoch_order

SHOWN = 20_000
"""Images that are shown to the network, each of them twice, unless ``epochs`` says otherwise."""
LEAST = 2 * held_out.LEAST
"""Fewest images of a folder: half of them to train on, half of them to check the features."""

_BATCH = 128
_LEARNING_RATE = 0.1


class Parts(NamedTuple):
    """The images that the network is trained on, and those that it never sees."""

    train: ImageSet
    others: ImageSet


def train(options: FeaturesOptions, folder: Path) -> None:
    """Train the feature network of ``folder``, check it, write it and print where it is.

    Raises DataError for fewer than ``LEAST`` images, and as ``datasets.load`` does.
    """
    parts, device = _load(options), devices.resolve(options.device)
    spec = _spec(parts.train)
    network, steps = fit(parts.train, spec, options, device)
    accuracy = _accuracy(network, spec, parts.others)
    checked = feature_check.measure(network, spec, parts.train.pixels, parts.others.pixels)
    about = About(
        dataset=spec.dataset,
        image_shape=spec.image_shape,
        classes=spec.names,
        accuracy=accuracy,
        images=len(parts.train.pixels),
        steps=steps,
        seed=options.seed,
        distances=checked,
    )
    path = options.out or config.feature_file(folder)
    found = feature_file.write(network, about, path)
    print(*feature_check.table(checked), sep="\n")
    told = "" if accuracy is None else f", accuracy on other images {accuracy:.2%}"
    print(f"{path}: SHA-256 {found}{told}")


def _load(options: FeaturesOptions) -> Parts:
    wanted = Config(
        dataset=options.dataset,
        data_dir=options.data_dir,
        image_size=options.image_size,
        conditional=options.conditional,
    )
    skipped = SkipReport(_warn)
    with DownloadProgress() as progress:
        parts = Parts(*datasets.load_with_reference(wanted, progress, skipped))
    for line in skipped.table(parts.train):
        _warn(line)
    if (count := len(parts.train.pixels) + len(parts.others.pixels)) < LEAST:
        raise DataError(
            f"--dataset {options.dataset}: has {count} images; a feature network needs {LEAST}"
        )
    return parts


def _spec(images: ImageSet) -> NetworkSpec:
    """The network for ``images``, as far as it is known before its training."""
    _, channels, height, width = images.pixels.shape
    return NetworkSpec(
        dataset=images.name,
        image_shape=(channels, height, width),
        names=images.labels.names if images.labels else (),
        exclusive=True,
        sha256="",
        accuracy=None,
    )


def fit(
    images: ImageSet, spec: NetworkSpec, options: FeaturesOptions, device: torch.device
) -> tuple[nn.Sequential, int]:
    """A network of ``spec``, trained on ``images``, in eval mode, and its number of steps.

    Stochastic gradient descent with one cycle of the learning rate (Smith and Topin 2018, arXiv
    1708.07120), by the sum of the losses of instance discrimination and, with labels, of the
    classes.
    """
    count = len(images.pixels)
    batch = min(_BATCH, count)
    shown = SHOWN if options.epochs is None else options.epochs * count
    steps = max(1, shown // batch)
    torch.manual_seed(options.seed)
    network = hardware.channels_last(features.build(spec.image_shape, spec.outputs)).to(device)
    projection = _projection(network, spec).to(device)
    # A parameter of both is one key.
    parameters = [*dict.fromkeys([*network.parameters(), *projection.parameters()])]
    sgd = torch.optim.SGD(
        parameters, _LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(sgd, _LEARNING_RATE, total_steps=steps)
    pixels = torch.from_numpy(images.pixels)
    labels = None if images.labels is None else torch.from_numpy(images.labels.values).long()
    for step in tqdm(range(steps), unit="step"):
        rows = _rows(count, batch, step, options.seed)
        views = features.normalise(pixels[rows].to(device))
        views = instance_discrimination.two_views(views)
        with hardware.autocast(device, "auto"):
            found = network.get_submodule("body")(views)
            logits, projected = network.get_submodule("head")(found), projection(found)
        loss = instance_discrimination.loss(projected)
        if labels is not None:
            wanted = labels[rows].repeat(2).to(device)
            loss = loss + functional.cross_entropy(logits.float(), wanted)
        sgd.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        sgd.step()
        schedule.step()
    return network.eval(), steps


def _projection(network: nn.Sequential, spec: NetworkSpec) -> nn.Module:
    """From features to projections: the head, or a network that training alone needs."""
    if not spec.names:
        return network.get_submodule("head")
    return nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, FEATURES))


def _rows(count: int, batch: int, step: int, seed: int) -> torch.Tensor:
    """The images of one batch: whole batches of every epoch's random order."""
    epoch, place = divmod(step, count // batch)
    return epoch_order(count, seed, epoch)[place * batch : (place + 1) * batch]


def _accuracy(network: nn.Sequential, spec: NetworkSpec, others: ImageSet) -> float | None:
    """Share of the images ``others`` whose class ``network`` tells; None without classes."""
    if others.labels is None:
        return None
    labels: NDArray[np.uint8] = others.labels.values
    return float((features.extract(network, others.pixels, spec).labels == labels).mean())


def _warn(line: str) -> None:
    tqdm.write(line, file=sys.stderr)
