"""``features --dataset folder:PATH``: trains a feature network for the images of a folder.

It learns to tell how images are rotated and, if they have classes, the classes. Classes alone are
not enough: a network that knows nothing but two classes sees little difference between the images
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
from training.data import datasets
from training.data.download_progress import DownloadProgress
from training.data.held_out import LEAST_OF_FEATURES
from training.data.images import ImageSet
from training.data.skipped import SkipReport
from training.errors import DataError
from training.evaluation import feature_check, feature_file, features, one_cycle, rotations
from training.evaluation.feature_file import About
from training.evaluation.features import FEATURES, NetworkSpec
from training.evaluation.one_cycle import BATCH
from training.evaluation.options import FeaturesOptions
from training.evaluation.rotations import ROTATIONS
from training.gan import hardware
from training.gan.pixels import scaled
from training.loop import device as devices

SHOWN = 20_000
"""Images that are shown to the network unless ``epochs`` says otherwise."""


class Parts(NamedTuple):
    """The images that the network is trained on, and those that it never sees."""

    train: ImageSet
    others: ImageSet


def train(options: FeaturesOptions, folder: Path) -> None:
    """Train the feature network of ``folder``, check it, write it and print where it is.

    Raises DataError for fewer than ``LEAST_OF_FEATURES`` images, and as ``datasets.load`` does.
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
    tested = "" if accuracy is None else f", accuracy on other images {accuracy:.2%}"
    print(f"{path}: SHA-256 {found}{tested}")


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
    if (count := len(parts.train.pixels) + len(parts.others.pixels)) < LEAST_OF_FEATURES:
        raise DataError(
            f"--dataset {options.dataset}: has {count} images; a feature network needs "
            f"{LEAST_OF_FEATURES}"
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
    found: ImageSet, spec: NetworkSpec, options: FeaturesOptions, device: torch.device
) -> tuple[nn.Sequential, int]:
    """A network of ``spec``, trained on ``found``, in eval mode, and its number of steps."""
    count = len(found.pixels)
    batch = min(BATCH, count)
    shown = SHOWN if options.epochs is None else options.epochs * count
    steps = max(1, shown // batch)
    torch.manual_seed(options.seed)
    network = hardware.channels_last(features.build(spec.image_shape, spec.outputs)).to(device)
    turns_head = _turns_head(network, spec).to(device)
    # A parameter of both is one key.
    parameters = [*dict.fromkeys([*network.parameters(), *turns_head.parameters()])]
    pixels = torch.from_numpy(found.pixels)
    labels = None if found.labels is None else torch.from_numpy(found.labels.values).long()

    def loss(rows: torch.Tensor) -> torch.Tensor:
        images = scaled(pixels[rows].to(device))
        return _loss(network, turns_head, images, None if labels is None else labels[rows])

    order = one_cycle.batches(count, batch, steps, options.seed)
    one_cycle.train(parameters, loss, order, steps)
    return network.eval(), steps


def _loss(
    network: nn.Sequential, turns_head: nn.Module, images: torch.Tensor, labels: torch.Tensor | None
) -> torch.Tensor:
    """The sum of the cross-entropies, in nats, of rotations and, with labels, of classes."""
    turned, turns = rotations.rotated(images)
    with hardware.autocast(images.device, "auto"):
        seen = network.get_submodule("body")(turned)
        logits, turn_logits = network.get_submodule("head")(seen), turns_head(seen)
    loss = functional.cross_entropy(turn_logits.float(), turns)
    if labels is None:
        return loss
    return loss + functional.cross_entropy(logits.float(), labels.to(images.device))


def _turns_head(network: nn.Sequential, spec: NetworkSpec) -> nn.Module:
    """From features to rotations: the head, or one that training alone needs."""
    if not spec.names:
        return network.get_submodule("head")
    return nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, ROTATIONS))


def _accuracy(network: nn.Sequential, spec: NetworkSpec, others: ImageSet) -> float | None:
    """Share of the images ``others`` whose class ``network`` tells; None without classes."""
    if others.labels is None:
        return None
    labels: NDArray[np.uint8] = others.labels.values
    return float((features.extract(network, others.pixels, spec).labels == labels).mean())


def _warn(line: str) -> None:
    tqdm.write(line, file=sys.stderr)
