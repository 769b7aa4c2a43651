"""The metrics of generated images, each with its floor: the same metric of real images."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from app.latent.conditions import Conditions
from training.evaluation import distances
from training.evaluation.features import Extracted, Labels, NetworkSpec
from training.evaluation.label_distribution import (
    Float64Array,
    attribute_gap,
    attribute_shares,
    class_shares,
    kl_to_uniform,
)
from training.evaluation.records import MeasuredMetric, Share
from training.gan.pixels import BATCH, Track, scaled

MAX_NEIGHBOURS = 10_000
"""Most images of a set among which neighbours are searched, which takes quadratic time."""

PROTOCOLS = {
    "fd_cnn": (
        "Fréchet distance (Heusel et al. 2017, equation 6) of {fake} to {real} test images on "
        "{network}, which makes it no FID"
    ),
    "kid_cnn": (
        "squared kernel distance, with KID's kernel and estimate (Bińkowski et al. 2018, section "
        "4), of {fake} to {real} test images on {network}"
    ),
    "precision": (
        "share of {few_fake} on the manifold of {few_real} test images (Kynkäänniemi et al. 2019, "
        "section 2; k = 3) on {network}"
    ),
    "recall": (
        "share of {few_real} test images on the manifold of {few_fake} (Kynkäänniemi et al. 2019, "
        "section 2; k = 3) on {network}"
    ),
    "density": (
        "mean number, divided by k, of the neighbourhoods of {few_real} test images that one of "
        "{few_fake} lies in (Naeem et al. 2020, section 3; k = 5) on {network}"
    ),
    "coverage": (
        "share of {few_real} test images whose neighbourhood holds one of {few_fake} (Naeem et al. "
        "2020, section 3; k = 5) on {network}"
    ),
    "copies": (
        "share of {few_fake} no further from their nearest of {train} training images than the "
        "nearest 1% of {few_real} test images are from theirs, on {network}; what stands in their "
        "place is compared with the other training images alone"
    ),
    "class_kl": (
        "KL(shares ‖ equal shares), in nats, of the classes that the classifier over {network} "
        "sees in {fake}"
    ),
    "attribute_gap": (
        "mean difference, over {names} attributes, between the share of {fake} that have one and "
        "that of {real} test images, as the classifier over {network} sees them"
    ),
    "discriminator_real": (
        "share of {real} test images that the run's discriminator, in eval mode, takes for real"
    ),
    "discriminator_fake": (
        "share of {fake} that the run's discriminator, in eval mode, takes for generated"
    ),
}
"""How each metric is measured. Published cards contain these texts: do not change them."""

ImageBytes = NDArray[np.uint8]
"""Images ``(n, channels, height, width)``."""

T = TypeVar("T", ImageBytes, Extracted, Labels, Conditions | None)


class ImageSets(NamedTuple, Generic[T]):
    """The same of three sets of images: pixels, extracted features, true labels, or conditions."""

    train: T
    """More images than ``fake`` has: the floor is measured on the first of them instead."""
    test: T
    fake: T


UNCONDITIONAL: ImageSets[Conditions | None] = ImageSets(None, None, None)
"""The conditions of images that have none."""


def measure(
    sets: ImageSets[Extracted], spec: NetworkSpec, track: Track = iter
) -> dict[str, MeasuredMetric]:
    """All metrics on the features and labels that the network of ``spec`` extracted."""
    judged = (sets.fake, _floor(sets))
    values, floors = (_values(sets.test, judged[k], spec) for k in track(range(2)))
    values["copies"], floors["copies"] = _copies(sets)
    texts = _protocol_texts(*(len(images.labels) for images in sets))
    texts |= {"network": spec.description, "names": str(len(spec.names))}
    return {
        name: MeasuredMetric(
            value=values[name], floor=floors[name], protocol=protocol.format(**texts)
        )
        for name, protocol in PROTOCOLS.items()
        if name in values
    }


def _floor(sets: ImageSets[Extracted]) -> Extracted:
    """The first training images, as many as ``fake`` has."""
    count = len(sets.fake.labels)
    return Extracted(sets.train.features[:count], sets.train.labels[:count])


def _values(test: Extracted, fake: Extracted, spec: NetworkSpec) -> dict[str, float]:
    few_real, few_fake = test.features[:MAX_NEIGHBOURS], fake.features[:MAX_NEIGHBOURS]
    return {
        "fd_cnn": distances.frechet(test.features, fake.features),
        "kid_cnn": distances.kid(test.features, fake.features),
        **distances.precision_recall(few_real, few_fake)._asdict(),
        **distances.density_coverage(few_real, few_fake)._asdict(),
        **_balance(test, fake, spec),
    }


def _balance(test: Extracted, fake: Extracted, spec: NetworkSpec) -> dict[str, float]:
    if not spec.names:
        return {}
    shares = _label_shares(fake, spec)
    if spec.exclusive:
        return {"class_kl": kl_to_uniform(shares)}
    return {"attribute_gap": attribute_gap(shares, _label_shares(test, spec))}


def _label_shares(images: Extracted, spec: NetworkSpec) -> Float64Array:
    if spec.exclusive:
        return class_shares(images.labels, len(spec.names))
    return attribute_shares(images.labels)


def _copies(sets: ImageSets[Extracted]) -> tuple[float, float]:
    """Share of copies of training images in ``fake``, and in the first training images.

    The latter are compared with the other training images only.
    """
    train, test = sets.train.features, sets.test.features[:MAX_NEIGHBOURS]
    fake = sets.fake.features[:MAX_NEIGHBOURS]
    count = len(fake)
    return (
        distances.copies(train, test, fake),
        distances.copies(train[count:], test, train[:count]),
    )


def _protocol_texts(train: int, test: int, fake: int) -> dict[str, str]:
    few = min(fake, MAX_NEIGHBOURS)
    return {
        "train": str(train),
        "real": str(test),
        "few_real": str(min(test, MAX_NEIGHBOURS)),
        "fake": f"the {fake} images of seeds 0 to {fake - 1}",
        "few_fake": f"the {few} images of seeds 0 to {few - 1}",
    }


def label_shares(sets: ImageSets[Extracted], spec: NetworkSpec) -> dict[str, Share]:
    """The share of each class or attribute in ``fake``, and in as many training images."""
    if not spec.names:
        return {}
    generated, training = (
        _label_shares(images, spec).tolist() for images in (sets.fake, _floor(sets))
    )
    return {
        name: Share(generated=generated[k], training=training[k])
        for k, name in enumerate(spec.names)
    }


def discriminator_accuracy(
    discriminator: nn.Module,
    sets: ImageSets[ImageBytes],
    conditions: ImageSets[Conditions | None] = UNCONDITIONAL,
) -> dict[str, MeasuredMetric]:
    """Accuracy of ``discriminator`` (eval mode) on test images and on generated images.

    The floor of ``discriminator_fake`` is the share of training images that it takes for generated.
    """
    texts = _protocol_texts(*map(len, sets))
    train = sets.train[: len(sets.fake)]
    real, fake, training = (
        share_taken_for_real(discriminator, images, labels)
        for images, labels in (
            (sets.test, conditions.test),
            (sets.fake, conditions.fake),
            (train, conditions.train),
        )
    )
    results = {"discriminator_real": (real, None), "discriminator_fake": (1 - fake, 1 - training)}
    return {
        name: MeasuredMetric(value=value, floor=floor, protocol=PROTOCOLS[name].format(**texts))
        for name, (value, floor) in results.items()
    }


def share_taken_for_real(
    discriminator: nn.Module, pixels: ImageBytes, conditions: Conditions | None = None
) -> float:
    """Share of ``pixels`` to which ``discriminator`` gives a positive logit.

    A conditional one also takes their ``conditions``, of which the first are used.
    """
    device = next(discriminator.parameters()).device
    real = 0
    with torch.no_grad():
        for start in range(0, len(pixels), BATCH):
            batch = pixels[start : start + BATCH].copy()
            inputs = [scaled(torch.from_numpy(batch).to(device))]
            if conditions is not None:
                rows = conditions[start : start + len(batch)]
                inputs.append(torch.from_numpy(rows).to(device))
            real += int((discriminator(*inputs) > 0).sum())
    return real / len(pixels)
