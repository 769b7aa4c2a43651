"""Compares augmentations with few training images: drawn faces, reduced so that a CPU has the time.

    python -m tests.bench.few_images --data-dir data/avatars --out runs/few-images

All runs take turns, a slice of images each, until the time is over: then they have seen equally
many images, whatever else the machine does. Learning rates are constant, so that a longer run
continues a shorter one. Every result is a line of ``results.jsonl``.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.artifact.card import Latent
from training.config import Config, from_flags
from training.data.avatars import dataset as avatars
from training.data.images import resize
from training.evaluation import distances, feature_training, features
from training.evaluation.features import AVATARS, NetworkSpec
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.options import FeaturesOptions
from training.gan.gan import Gan
from training.gan.pixels import of_seeds, scaled, to_pixels
from training.image_size import ImageSize
from training.loop.epochs import TrainingData, train

CPU = torch.device("cpu")
AUGMENTATIONS = ("none", "color,translation,cutout", "ada")
SAMPLES = 5_000
"""Generated faces for ``fd_cnn``, which is their distance to all test faces."""
COMPARED = 1_000
"""Generated faces, and test faces, for recall."""
JUDGED = 500
"""Training images, and test images, that the discriminator judges."""


@dataclass(frozen=True)
class Result:
    """A run after a slice."""

    images: int
    augment: str
    seen: int
    fd_cnn: float
    """Of generated faces to the test faces."""
    recall: float
    preference: float
    """Share of the pairs of a training and a test face in which the discriminator prefers the
    training face: 0.5 if it has memorised nothing."""
    accuracy: float
    """The discriminator's on real images, as in the line of an epoch."""
    probability: float | None


class Judge:
    """Measures generators on the features of a network for faces of this size."""

    def __init__(self, faces: avatars.Avatars, size: ImageSize, epochs: int) -> None:
        self.test = resize(faces.test.images, size)
        self._spec: NetworkSpec = replace(AVATARS, image_shape=(3, size.height, size.width))
        labels = np.stack(list(faces.training.attributes.values()), axis=1)
        labelled = LabelledImages(resize(faces.training.images, size), labels)
        options = FeaturesOptions(dataset=avatars.NAME, epochs=epochs)
        self._network = feature_training.fit(labelled, self._spec, options, CPU)
        self.training = labelled.pixels
        found = features.extract(self._network, self.test, self._spec)
        self._real = found.features
        expected = np.stack(list(faces.test.attributes.values()), axis=1)
        print(f"feature network: {(found.labels == expected).mean():.2%} of the test faces'")

    def distance(self, pixels: NDArray[np.uint8]) -> tuple[float, float]:
        """``fd_cnn`` and recall of uint8 images ``(n, 3, height, width)``."""
        found = features.extract(self._network, pixels, self._spec).features
        recall = distances.precision_recall(self._real[:COMPARED], found[:COMPARED]).recall
        return distances.frechet(self._real, found), recall


class Contestant:
    """A run on some of the training faces."""

    def __init__(self, options: Config, faces: NDArray[np.uint8], judge: Judge) -> None:
        self._options, self._judge, self._faces = options, judge, torch.from_numpy(faces)
        self._gan = Gan(options, (3, *faces.shape[2:]), CPU)

    def advance(self, steps: int) -> Result:
        """Train until ``steps``, then measure."""
        gan, options = self._gan, self._options
        *_, report = train(gan, TrainingData(self._faces), steps)
        latent = Latent(width=options.latent_dim, prior=options.prior)
        generator = gan.averaged_generator()
        drawn = of_seeds(
            lambda z: to_pixels(generator, torch.from_numpy(z)), range(SAMPLES), latent
        )
        return Result(
            len(self._faces),
            options.augment or "none",
            steps * options.batch_size,
            *self._judge.distance(drawn),
            self._preference(),
            report.accuracy_real,
            report.augment_probability,
        )

    def _preference(self) -> float:
        with torch.no_grad():
            seen, unseen = (
                self._gan.discriminator(scaled(images[:JUDGED]))
                for images in (self._faces, torch.from_numpy(self._judge.test))
            )
        return (seen > unseen.T).float().mean().item()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    end = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    judge = Judge(
        avatars.read(options.data_dir),
        ImageSize.square(options.image_size),
        options.feature_epochs,
    )
    contestants = [
        Contestant(from_flags(flags(options, augment)), judge.training[:count], judge)
        for count in options.counts
        for augment in AUGMENTATIONS
    ]
    for count in options.counts:
        fd_cnn, recall = judge.distance(judge.training[:count])
        print(f"| {count:,} | the training faces themselves | {fd_cnn:.2f} | {recall:.3f} |")
    with (options.out / "results.jsonl").open("a") as file:
        steps = options.slice // options.batch_size
        while True:
            results: list[Result] = []
            for contestant in contestants:
                results.append(contestant.advance(steps))
                file.write(json.dumps(asdict(results[-1])) + "\n")
                file.flush()
            print(*table(results), sep="\n", flush=True)
            if time.monotonic() >= end:
                return
            steps += options.slice // options.batch_size


def flags(options: argparse.Namespace, augment: str) -> dict[str, object]:
    """The flags of ``fit`` that a run is equal to."""
    return {
        "dataset": avatars.NAME,
        "preset": "dcgan-64",
        "conditional": "none",
        "augment": augment,
        "image_size": options.image_size,
        "batch_size": options.batch_size,
        "generator_filters": options.generator_filters,
        "discriminator_filters": options.discriminator_filters,
        "decay_from": 1,
    }


def table(results: list[Result]) -> Iterator[str]:
    """A table as in training/RESULTS.md."""
    yield f"| faces, {results[0].seen:,} seen | `--augment` | `fd_cnn` | recall | preference | p |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for one in results:
        p = "" if one.probability is None else f"{one.probability:.3f}"
        measured = f"{one.fd_cnn:.2f} | {one.recall:.3f} | {one.preference:.1%} | {p}"
        yield f"| {one.images:,} | `{one.augment}` | {measured} |"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=avatars.DEFAULT_FOLDER)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 2_000, 10_000])
    parser.add_argument("--image-size", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--generator-filters", type=int, default=8)
    parser.add_argument("--discriminator-filters", type=int, default=32)
    parser.add_argument("--feature-epochs", type=int, default=1)
    parser.add_argument("--slice", type=int, default=16_000, help="images between two results")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="no round of slices begins after this"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
