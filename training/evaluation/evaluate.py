"""``evaluate``: measures a generator's images against real images."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from app.latent.conditions import ClassSampler, Conditions, one_hot
from training.errors import DataError
from training.evaluation import agreement, features, loaded_model, metrics, references
from training.evaluation.agreement import Agreement, Labelled
from training.evaluation.features import Extracted, Labels, NetworkSpec
from training.evaluation.inception import Inception
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.metrics import ImageBytes, ImageSets
from training.evaluation.options import EvaluateOptions
from training.evaluation.progress import bar
from training.evaluation.records import (
    EvaluationRecord,
    FeatureNetwork,
    Figure,
    MeasuredMetric,
    Share,
)
from training.evaluation.references import TEST_IMAGES, Features, Reference
from training.loop import device as devices
from training.run.journal import Run

SAMPLES = 10_000
"""Most generated images unless another number is requested."""


class OnFeatures(NamedTuple):
    """What is measured on the features of images."""

    metrics: dict[str, MeasuredMetric]
    shares: dict[str, Share]
    """By class or attribute."""
    by_name: dict[str, dict[str, Figure]]
    """The figures of each class or attribute that a generator takes."""


NONE = OnFeatures({}, {}, {})
"""Of images for which there is no feature network."""


def evaluate(folder: Path, options: EvaluateOptions) -> None:
    """Measure the run or the published version in ``folder`` and print the results.

    They are written to ``options.out``, else into the folder of a run; a published version never
    changes.
    """
    devices.limit_threads()
    device = devices.resolve(options.device)
    model = loaded_model.load(
        folder, device, options.checkpoint, options.provider, options.precision
    )
    default = None if model.step is None else Run(folder).evaluation
    record = measure(model, device, options)
    print(*record.table(), sep="\n")
    if out := options.out or default:
        record.write(out)
        print(f"written to {out}")


def measure(model: LoadedModel, device: torch.device, options: EvaluateOptions) -> EvaluationRecord:
    """All metrics of ``model``. Raises EvaluationError or DataError if they cannot be measured."""
    began, reference = time.perf_counter(), references.load(model, options, device)
    inception = Inception(options.inception) if options.inception else None
    pixels, labels = _image_sets(model, reference, options.samples)
    spec = reference.features.spec if reference.features else None
    found = _on_features(model, reference.features, pixels, labels) if reference.features else NONE
    results = {**found.metrics}
    if model.discriminator:
        conditions = ImageSets(*(_conditions(model, each) for each in labels))
        results |= metrics.discriminator_accuracy(model.discriminator, pixels, conditions)
    if inception:
        results["fid"] = inception.fid(pixels, device)
    return EvaluationRecord(
        subject=model.title,
        step=model.step,
        dataset=model.dataset,
        samples=len(pixels.fake),
        training_images=len(pixels.train),
        test_images=len(pixels.test),
        reference=reference.title,
        feature_network=FeatureNetwork.of(spec) if spec else None,
        metrics={name: _named(each, reference.title) for name, each in results.items()},
        class_shares=found.shares if spec and spec.exclusive else {},
        attribute_shares=found.shares if spec and not spec.exclusive else {},
        conditions=found.by_name,
        device=devices.describe(device, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def _on_features(
    model: LoadedModel,
    network: Features,
    pixels: ImageSets[ImageBytes],
    labels: ImageSets[Labels],
) -> OnFeatures:
    """All that is measured on the features of ``pixels`` by ``network``."""
    spec = network.spec
    extracted = ImageSets(
        *(
            features.extract(network.network, images, spec, bar(f"features of {name} images"))
            for name, images in zip(("training", "test", "generated"), pixels, strict=True)
        )
    )
    results = metrics.measure(extracted, spec, bar("computing the metrics"))
    followed = _conditional_figures(model, extracted, labels, spec)
    shares = metrics.label_shares(extracted, spec)
    return OnFeatures(results | followed.metrics, shares, followed.by_name)


def _named(metric: MeasuredMetric, title: str) -> MeasuredMetric:
    """``metric``, whose texts say ``title`` in place of test images."""
    protocol, real = (text.replace(TEST_IMAGES, title) for text in (metric.protocol, metric.real))
    return metric.model_copy(update={"protocol": protocol, "real": real})


def _conditional_figures(
    model: LoadedModel,
    extracted: ImageSets[Extracted],
    labels: ImageSets[Labels],
    spec: NetworkSpec,
) -> Agreement:
    """How well ``model`` follows its conditions; no figures if it, or the network, has none."""
    if model.sampler is None or not spec.names:
        return Agreement({}, {})
    train, test, fake = map(Labelled, extracted, labels)
    return agreement.measure(train, test, fake, spec)


def _conditions(model: LoadedModel, labels: Labels) -> Conditions | None:
    """``labels`` as the conditions of a discriminator; None for an unconditional one."""
    if model.sampler is None:
        return None
    exclusive = labels.ndim == 1
    return one_hot(labels, len(model.sampler.names)) if exclusive else labels.astype(np.float32)


def _requested_labels(model: LoadedModel, count: int) -> Labels:
    """The labels that the seeds 0 to ``count`` - 1 request; none of an unconditional generator."""
    if model.sampler is None:
        return np.empty(0, dtype=np.uint8)
    conditions = model.sampler.from_seeds(range(count))
    exclusive = isinstance(model.sampler, ClassSampler)
    return conditions.argmax(axis=1) if exclusive else conditions > 0.5


def _image_sets(
    model: LoadedModel, reference: Reference, samples: int | None
) -> tuple[ImageSets[ImageBytes], ImageSets[Labels]]:
    """The training images, the test images, and ``samples`` generated images.

    The labels are the true ones of real images, and those requested of generated images.
    """
    train, test = reference.train, reference.test
    count = samples or min(SAMPLES, len(train.pixels) // 2)
    if len(train.pixels) <= count:
        raise DataError(
            f"{reference.place}: has {len(train.pixels)} training images, but must have more than "
            f"--samples {count}, to measure as many real images"
        )
    requested = _requested_labels(model, count)
    return (
        ImageSets(
            train.pixels, test.pixels, model.images(count, track=bar(f"generating {count} images"))
        ),
        ImageSets(train.labels, test.labels, requested),
    )
