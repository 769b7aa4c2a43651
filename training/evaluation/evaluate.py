"""``evaluate``: a generator's images against real ones."""

import sys
import time
from pathlib import Path

import torch

from training.errors import DataError, EvaluationError
from training.evaluation import features, measures, real, subject
from training.evaluation.evaluation_record import Evaluation
from training.evaluation.features import SHIPPED, Shipped
from training.evaluation.inception import Inception
from training.evaluation.measures import Bytes, Sets
from training.evaluation.options import FEWEST, Measuring
from training.evaluation.records import FeatureNetwork
from training.evaluation.subject import Subject
from training.loop import device
from training.run.journal import Run


def evaluate(folder: Path, options: Measuring) -> None:
    """Measure the run or the published version in ``folder``, and print what comes out.

    It is written where ``options`` say, else into a run's own folder: a published version never
    changes.
    """
    device.limit_threads()
    where = device.resolve(options.device)
    drawn_by = options.provider, options.precision
    measured = subject.find(folder, where, options.checkpoint, *drawn_by)
    own = None if measured.step is None else Run(folder).evaluation
    found = measure(measured, where, options)
    print(*found.table(), sep="\n")
    if out := options.out or own:
        found.write(out)
        print(f"written to {out}")


def measure(measured: Subject, where: torch.device, options: Measuring) -> Evaluation:
    """Every measure of ``measured``. Raises EvaluationError or DataError where it cannot be."""
    began, shipped = time.perf_counter(), shipped_for(measured)
    told = "class_shares" if shipped.exclusive else "attribute_shares"
    network = features.load(shipped).to(where)
    inception = Inception(options.inception) if options.inception else None
    pixels = _pixels(measured, shipped, options)
    say("looking at them and at the real images")
    seen = Sets(*(features.features(network, images, shipped) for images in pixels))
    say("comparing them")
    figures = measures.measures(seen, shipped)
    if measured.discriminator:
        figures |= measures.judged(measured.discriminator, pixels)
    if inception:
        figures["fid"] = inception.fid(pixels, where)
    return Evaluation(
        subject=measured.title,
        step=measured.step,
        dataset=measured.dataset,
        samples=len(pixels.fake),
        training_images=len(pixels.train),
        test_images=len(pixels.test),
        feature_network=FeatureNetwork.of(shipped),
        metrics=figures,
        **{told: measures.shares(seen, shipped)},
        device=device.describe(where, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def shipped_for(measured: Subject) -> Shipped:
    """The feature network for what ``measured`` draws. Raises EvaluationError for none."""
    if measured.dataset not in SHIPPED:
        raise EvaluationError(
            f"{measured.title}: learned from {measured.dataset}, "
            f"but there is a feature network for {', '.join(SHIPPED)} alone"
        )
    return SHIPPED[measured.dataset]


def _pixels(measured: Subject, shipped: Shipped, options: Measuring) -> Sets[Bytes]:
    """The training images, the test images, and as many drawn ones as ``options`` ask for."""
    folder, (train, _), (test, _) = real.read(shipped, options.data_dir)
    for pixels in (train, test):
        if pixels.shape[1:] != measured.image_shape:
            raise DataError(
                f"{folder}: its images have the shape {pixels.shape[1:]}, "
                f"{measured.title} draws {measured.image_shape}"
            )
    if len(test) < FEWEST:
        raise DataError(f"{folder}: {len(test)} test images are too few, {FEWEST} are needed")
    if len(train) <= options.samples:
        raise DataError(
            f"{folder}: {len(train)} training images are too few, as real ones are measured beside "
            f"--samples {options.samples}"
        )
    say(f"drawing {options.samples} images")
    return Sets(train, test, measured.images(options.samples))


def say(words: str) -> None:
    """What is done now, beside the output: on a CPU it takes minutes."""
    print(f"{words} …", file=sys.stderr)
