"""``probe``: measures the features of a run's discriminator by a linear classifier on them.

Radford et al. 2015 (arXiv 1511.06434), section 5.1: a discriminator trained without labels is a
feature extractor for the classes of the images.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from app.artifact import atomic_files
from training.data import datasets
from training.data.download_progress import DownloadProgress
from training.errors import DataError
from training.evaluation import linear_classifier, loaded_model, progress
from training.evaluation.linear_classifier import ClassifierScore, Features, Labels
from training.evaluation.options import ProbeOptions
from training.gan.conditional import Projection
from training.gan.gan import Gan
from training.gan.pixels import BATCH, scaled
from training.loop import device as devices
from training.run.journal import Run

Images = NDArray[np.uint8]

GRID = 4
"""Height and width to which every feature map is pooled."""

PROTOCOL = (
    "share of the test images whose class a linear SVM tells (one against the rest, hinge loss, "
    "L2 penalty chosen on a held-out sixth of at most {trial} labels) on standardised features: "
    "the pixels, or all convolutions' activations max-pooled to {grid}×{grid} (Radford et al. "
    "2015, section 5.1), of the run's discriminator or of the same one before its training"
)


class ProbeRecord(BaseModel):
    """The results of ``probe``; as JSON the content of ``probe.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    subject: str
    step: int | None
    dataset: str
    labels: int
    test_images: int
    seed: int
    scores: dict[str, ClassifierScore]
    protocol: str
    device: str
    seconds: float

    def table(self) -> Iterator[str]:
        """The record as lines of text."""
        yield (
            f"{self.subject}, step {self.step}: "
            f"trained on {self.labels} labels, tested on {self.test_images} test images"
        )
        yield f"{'':20}{'features':>12}{'accuracy':>12}"
        for name, score in self.scores.items():
            yield f"{name:20}{score.features:12}{score.accuracy:12.2%}"
        yield f"{self.seconds:.0f} s on {self.device}"


def probe(folder: Path, options: ProbeOptions) -> None:
    """Probe the run in ``folder``, print the results and write them to its ``probe.json``."""
    devices.limit_threads()
    run = Run(folder)
    record = measure(run, options, devices.resolve(options.device))
    print(*record.table(), sep="\n")
    atomic_files.write(run.probe, (record.model_dump_json(indent=2) + "\n").encode())
    print(f"written to {run.probe}")


def measure(run: Run, options: ProbeOptions, device: torch.device) -> ProbeRecord:
    """The accuracy of the classifier on each kind of features.

    Raises RunError for a run that cannot be read; DataError if its data set has no labels, too few
    labels, or images of another shape.
    """
    began, model = time.perf_counter(), loaded_model.load_run(run, device)
    (pixels, labels), (test, test_labels) = _data(run, options)
    rows = linear_classifier.balanced_subset(labels, options.labels or len(labels), options.seed)
    pixels, labels = pixels[rows], labels[rows]
    data = run.data()
    untrained = Gan(run.config(), data.shape, device, sampler=data.sampler).discriminator.eval()
    scores = {}
    probed = (("discriminator", model.discriminator), ("untrained", untrained), ("pixels", None))
    for name, network in progress.each(probed, lambda item: f"classifier on {item[0]}"):
        train_set, test_set = (_features(network, images) for images in (pixels, test))
        scores[name] = linear_classifier.score(
            train_set, labels, test_set, test_labels, options.seed
        )
    return ProbeRecord(
        subject=model.title,
        step=model.step,
        dataset=model.dataset,
        labels=len(labels),
        test_images=len(test),
        seed=options.seed,
        scores=scores,
        protocol=PROTOCOL.format(trial=linear_classifier.SELECTION_SAMPLES, grid=GRID),
        device=devices.describe(device, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def _data(run: Run, options: ProbeOptions) -> Iterator[tuple[Images, Labels]]:
    """The labelled training images, then the test images. Raises DataError as ``measure``."""
    config = run.config()
    config = config.model_copy(update={"data_dir": options.data_dir or config.data_dir})
    for split in ("train", "t10k"):
        with DownloadProgress() as downloads:
            pixels, labels = datasets.load_labelled(config, split, downloads)
        if pixels.shape[1:] != run.data().shape:
            raise DataError(
                f"the {split} images have the shape {pixels.shape[1:]}, "
                f"those of {run.folder} {run.data().shape}"
            )
        if len(np.unique(labels)) < 2:
            raise DataError(
                f"the {split} images are all of one class; a classifier needs at least two"
            )
        yield pixels, labels


def _features(network: nn.Module | None, pixels: Images) -> Features:
    if network is None:
        return pixels.reshape(len(pixels), -1).astype(np.float32)
    device = next(network.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(pixels), BATCH):
            batch = torch.from_numpy(pixels[start : start + BATCH].copy()).to(device)
            parts.append(pooled(network, scaled(batch)).cpu().numpy())
    return np.concatenate(parts)


def pooled(discriminator: nn.Module, images: Tensor) -> Tensor:
    """The pooled activations of all convolutions on ``images`` ``(n, c, h, w)``.

    The result is ``(n, channels * GRID²)``, with the channels of all convolutions of
    ``discriminator`` (eval mode). Conditions play no part in them.
    """
    pools = []
    layers = discriminator.maps if isinstance(discriminator, Projection) else discriminator
    for layer in layers.children():
        if isinstance(layer, nn.Flatten):
            break
        images = layer(images)
        if isinstance(layer, nn.LeakyReLU):  # follows every convolution, and nothing else
            pools.append(adaptive_max_pool2d(images, GRID).flatten(1))
    return torch.cat(pools, dim=1)
