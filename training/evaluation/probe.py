"""``probe``: what a run's discriminator learned to see, told by a linear classifier on top of it.

Radford et al. 2015 (arXiv 1511.06434), section 5.1: a discriminator that learned from images alone
is a feature extractor for their classes.
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
from training.evaluation import subject, svm
from training.evaluation.evaluate import say
from training.evaluation.features import scaled
from training.evaluation.options import Probing
from training.evaluation.svm import Features, Labels, Score
from training.gan.gan import Gan
from training.loop import device
from training.run.journal import Run

Images = NDArray[np.uint8]

GRID = 4
"""Height and width that every feature map is pooled to."""

PROTOCOL = (
    "share of the test images whose class a linear SVM tells (one against the rest, hinge loss, "
    "L2 penalty chosen on a held-out sixth of at most {trial} labels) on standardised features: "
    "the pixels, or all convolutions' activations max-pooled to {grid}×{grid} (Radford et al. "
    "2015, section 5.1), of the run's discriminator or of the same one before its training"
)

_BATCH = 500


class Probe(BaseModel):
    """All that one probe found; as JSON the content of ``probe.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    subject: str
    step: int | None
    dataset: str
    labels: int
    test_images: int
    seed: int
    scores: dict[str, Score]
    protocol: str
    device: str
    seconds: float

    def table(self) -> Iterator[str]:
        """The record as lines to read."""
        yield (
            f"{self.subject}, step {self.step}: "
            f"learned from {self.labels} labels, asked about {self.test_images} test images"
        )
        yield f"{'':20}{'features':>12}{'accuracy':>12}"
        for name, score in self.scores.items():
            yield f"{name:20}{score.features:12}{score.accuracy:12.2%}"
        yield f"{self.seconds:.0f} s on {self.device}"


def probe(folder: Path, options: Probing) -> None:
    """Probe the run in ``folder``, print what comes out and write it there as ``probe.json``."""
    device.limit_threads()
    run = Run(folder)
    found = measure(run, options, device.resolve(options.device))
    print(*found.table(), sep="\n")
    atomic_files.write(run.probe, (found.model_dump_json(indent=2) + "\n").encode())
    print(f"written to {run.probe}")


def measure(run: Run, options: Probing, where: torch.device) -> Probe:
    """What the classifier tells from each kind of features.

    Raises RunError for a run that cannot be read, DataError where its data set has no labels, too
    few, or images of another shape.
    """
    began, measured = time.perf_counter(), subject.of_run(run, where)
    (pixels, labels), (test, answers) = _data(run, options)
    chosen = svm.balanced(labels, options.labels or len(labels), options.seed)
    pixels, labels = pixels[chosen], labels[chosen]
    untrained = Gan(run.config(), run.data().shape, where).discriminator.eval()
    scores = {}
    for name, network in (
        ("discriminator", measured.discriminator),
        ("untrained", untrained),
        ("pixels", None),
    ):
        say(f"learning the classes from the features of: {name}")
        train_set, test_set = (_features(network, images) for images in (pixels, test))
        scores[name] = svm.score(train_set, labels, test_set, answers, options.seed)
    return Probe(
        subject=measured.title,
        step=measured.step,
        dataset=measured.dataset,
        labels=len(labels),
        test_images=len(test),
        seed=options.seed,
        scores=scores,
        protocol=PROTOCOL.format(trial=svm.TRIAL, grid=GRID),
        device=device.describe(where, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def _data(run: Run, options: Probing) -> Iterator[tuple[Images, Labels]]:
    """The labelled training images, then the test images."""
    config = run.config()
    config = config.model_copy(update={"data_dir": options.data_dir or config.data_dir})
    for split in ("train", "t10k"):
        with DownloadProgress() as downloads:
            pixels, labels = datasets.load_labelled(config, split, downloads)
        if pixels.shape[1:] != run.data().shape:
            raise DataError(
                f"the {split} images have the shape {pixels.shape[1:]}, "
                f"{run.folder} learned from {run.data().shape}"
            )
        if len(np.unique(labels)) < 2:
            raise DataError(f"the {split} images are all of one class: nothing is to be told")
        yield pixels, labels


def _features(network: nn.Module | None, pixels: Images) -> Features:
    if network is None:
        return pixels.reshape(len(pixels), -1).astype(np.float32)
    where = next(network.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(pixels[start : start + _BATCH].copy()).to(where)
            parts.append(pooled(network, scaled(batch)).cpu().numpy())
    return np.concatenate(parts)


def pooled(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Every convolution's activation on ``images`` ``(n, c, h, w)``: ``(n, channels * GRID²)``.

    The channels are those of all convolutions of ``discriminator`` (eval mode) together.
    """
    kept = []
    for layer in discriminator.children():
        if isinstance(layer, nn.Flatten):
            break
        images = layer(images)
        if isinstance(layer, nn.LeakyReLU):  # the only one, after every convolution
            kept.append(adaptive_max_pool2d(images, GRID).flatten(1))
    return torch.cat(kept, dim=1)
