"""``evaluate``: measures a generator's images against real images."""

import time
from pathlib import Path

import numpy as np
import torch

from app.latent.conditions import Conditions, one_hot
from training.errors import DataError, EvaluationError
from training.evaluation import agreement, features, labelled_data, loaded_model, metrics
from training.evaluation.agreement import Agreement, Labelled
from training.evaluation.features import NETWORKS, Extracted, Labels, NetworkSpec
from training.evaluation.inception import Inception
from training.evaluation.loaded_model import LoadedModel
from training.evaluation.metrics import ImageBytes, ImageSets
from training.evaluation.options import MIN_SAMPLES, EvaluateOptions
from training.evaluation.progress import print_progress
from training.evaluation.records import EvaluationRecord, FeatureNetwork
from training.loop import device as devices
from training.run.journal import Run


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
    began, spec = time.perf_counter(), spec_of(model)
    network, spec = features.restricted(
        features.load(spec).to(device), spec, names_of(model) or spec.names
    )
    inception = Inception(options.inception) if options.inception else None
    pixels, labels = _image_sets(model, spec, options)
    print_progress("extracting the features of generated and real images")
    extracted = ImageSets(*(features.extract(network, images, spec) for images in pixels))
    print_progress("computing the metrics")
    results = metrics.measure(extracted, spec)
    followed = _conditional_figures(model, extracted, labels, spec)
    results |= followed.metrics
    if model.discriminator:
        conditions = ImageSets(*(_conditions(model, each) for each in labels))
        results |= metrics.discriminator_accuracy(model.discriminator, pixels, conditions)
    if inception:
        results["fid"] = inception.fid(pixels, device)
    shares = metrics.label_shares(extracted, spec)
    return EvaluationRecord(
        subject=model.title,
        step=model.step,
        dataset=model.dataset,
        samples=len(pixels.fake),
        training_images=len(pixels.train),
        test_images=len(pixels.test),
        feature_network=FeatureNetwork.of(spec),
        metrics=results,
        class_shares=shares if spec.exclusive else {},
        attribute_shares={} if spec.exclusive else shares,
        conditions=followed.by_name,
        device=devices.describe(device, "fp32"),
        seconds=round(time.perf_counter() - began, 1),
    )


def names_of(model: LoadedModel) -> tuple[str, ...]:
    """The classes or attributes that ``model`` was trained on; empty if it does not say."""
    return model.sampler.names if model.sampler else model.classes


def spec_of(model: LoadedModel) -> NetworkSpec:
    """The feature network for images of ``model``. Raises EvaluationError if there is none."""
    if model.dataset not in NETWORKS:
        raise EvaluationError(
            f"{model.title}: there is no feature network for its data set {model.dataset}, "
            f"only for {', '.join(NETWORKS)}"
        )
    return NETWORKS[model.dataset]


def _conditional_figures(
    model: LoadedModel,
    extracted: ImageSets[Extracted],
    labels: ImageSets[Labels],
    spec: NetworkSpec,
) -> Agreement:
    """How well ``model`` follows its conditions; without any figures if it has none."""
    if model.sampler is None:
        return Agreement({}, {})
    train, test, fake = map(Labelled, extracted, labels)
    return agreement.measure(train, test, fake, spec)


def _conditions(model: LoadedModel, labels: Labels) -> Conditions | None:
    """``labels`` as the conditions of a discriminator; None for an unconditional one."""
    if model.sampler is None:
        return None
    exclusive = labels.ndim == 1
    return one_hot(labels, len(model.sampler.names)) if exclusive else labels.astype(np.float32)


def _requested_labels(model: LoadedModel, count: int, spec: NetworkSpec) -> Labels:
    """The labels that the seeds 0 to ``count`` - 1 request; none of an unconditional generator."""
    if model.sampler is None:
        return np.empty(0, dtype=np.uint8)
    conditions = model.sampler.from_seeds(range(count))
    return conditions.argmax(axis=1) if spec.exclusive else conditions > 0.5


def _image_sets(
    model: LoadedModel, spec: NetworkSpec, options: EvaluateOptions
) -> tuple[ImageSets[ImageBytes], ImageSets[Labels]]:
    """The training images, the test images, and ``options.samples`` generated images.

    Of the real images of classes, only those of the classes in ``spec``. The labels are the true
    ones of real images, and those requested of generated images.
    """
    found = labelled_data.load(NETWORKS[spec.dataset], options.data_dir)
    train, test = (
        labelled_data.of_names(images, NETWORKS[spec.dataset], spec.names)
        for images in (found.train, found.test)
    )
    for images in (train, test):
        if (shape := images.pixels.shape[1:]) != model.image_shape:
            raise DataError(
                f"{found.folder}: its images have the shape {shape}, "
                f"those of {model.title} {model.image_shape}"
            )
    if len(test.pixels) < MIN_SAMPLES:
        raise DataError(
            f"{found.folder}: has {len(test.pixels)} test images, fewer than {MIN_SAMPLES}"
        )
    if len(train.pixels) <= options.samples:
        raise DataError(
            f"{found.folder}: has {len(train.pixels)} training images, but must have more than "
            f"--samples {options.samples}, to measure as many real images"
        )
    print_progress(f"generating {options.samples} images")
    requested = _requested_labels(model, options.samples, spec)
    return (
        ImageSets(train.pixels, test.pixels, model.images(options.samples)),
        ImageSets(train.labels, test.labels, requested),
    )
