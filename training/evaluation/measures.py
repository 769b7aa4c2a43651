"""Every measure of generated images, beside its floor: the same on real images."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.evaluation import distances
from training.evaluation.evaluation_record import Measure, Share
from training.evaluation.features import Seen, Shipped, scaled
from training.evaluation.shares import Array, gap, kl_to_uniform, of_attributes, of_classes

MOST = 10_000
"""Images of a set whose neighbours are sought, as that takes time by the square."""

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

Bytes = NDArray[np.uint8]
"""Images ``(n, channels, height, width)``."""

T = TypeVar("T", Bytes, Seen)

_BATCH = 500


class Sets(NamedTuple, Generic[T]):
    """The three sets of an evaluation: their pixels, or what is seen in them."""

    train: T
    """More than there are fakes: the first of them stand in the fakes' place for the floor."""
    test: T
    fake: T


def measures(seen: Sets[Seen], shipped: Shipped) -> dict[str, Measure]:
    """Every measure on what ``shipped`` sees in the three sets."""
    values, floors = (_scores(seen.test, images, shipped) for images in (seen.fake, _floor(seen)))
    values["copies"], floors["copies"] = _copies(seen)
    words = _words(*(len(images.labels) for images in seen))
    words |= {"network": shipped.words, "names": str(len(shipped.names))}
    return {
        name: Measure(value=values[name], floor=floors[name], protocol=protocol.format(**words))
        for name, protocol in PROTOCOLS.items()
        if name in values
    }


def _floor(seen: Sets[Seen]) -> Seen:
    """What is seen in as many training images as there are fakes."""
    count = len(seen.fake.labels)
    return Seen(seen.train.features[:count], seen.train.labels[:count])


def _scores(test: Seen, fake: Seen, shipped: Shipped) -> dict[str, float]:
    real_few, fake_few = test.features[:MOST], fake.features[:MOST]
    return {
        "fd_cnn": distances.frechet(test.features, fake.features),
        "kid_cnn": distances.kid(test.features, fake.features),
        **distances.precision_recall(real_few, fake_few)._asdict(),
        **distances.density_coverage(real_few, fake_few)._asdict(),
        **_balance(test, fake, shipped),
    }


def _balance(test: Seen, fake: Seen, shipped: Shipped) -> dict[str, float]:
    counted = _counted(fake, shipped)
    if shipped.exclusive:
        return {"class_kl": kl_to_uniform(counted)}
    return {"attribute_gap": gap(counted, _counted(test, shipped))}


def _counted(images: Seen, shipped: Shipped) -> Array:
    """The share of each class, or attribute, among ``images``."""
    if shipped.exclusive:
        return of_classes(images.labels, len(shipped.names))
    return of_attributes(images.labels)


def _copies(seen: Sets[Seen]) -> tuple[float, float]:
    """Share of copies among the fakes, and among training images of the other ones."""
    train, test = seen.train.features, seen.test.features[:MOST]
    fake = seen.fake.features[:MOST]
    count = len(fake)
    return (
        distances.copies(train, test, fake),
        distances.copies(train[count:], test, train[:count]),
    )


def _words(train: int, test: int, fake: int) -> dict[str, str]:
    few = min(fake, MOST)
    return {
        "train": str(train),
        "real": str(test),
        "few_real": str(min(test, MOST)),
        "fake": f"the {fake} images of seeds 0 to {fake - 1}",
        "few_fake": f"the {few} images of seeds 0 to {few - 1}",
    }


def shares(seen: Sets[Seen], shipped: Shipped) -> dict[str, Share]:
    """The share of each class, or attribute, of the fakes, and of as many training images."""
    generated, training = (
        _counted(images, shipped).tolist() for images in (seen.fake, _floor(seen))
    )
    return {
        name: Share(generated=generated[k], training=training[k])
        for k, name in enumerate(shipped.names)
    }


def judged(discriminator: nn.Module, pixels: Sets[Bytes]) -> dict[str, Measure]:
    """How often ``discriminator`` (eval mode) is right.

    The floor of ``discriminator_fake`` is the share of training images it takes for generated.
    """
    words = _words(*map(len, pixels))
    floor = pixels.train[: len(pixels.fake)]
    real, fake, known = (
        taken_for_real(discriminator, images) for images in (pixels.test, pixels.fake, floor)
    )
    figures = {"discriminator_real": (real, None), "discriminator_fake": (1 - fake, 1 - known)}
    return {
        name: Measure(value=value, floor=least, protocol=PROTOCOLS[name].format(**words))
        for name, (value, least) in figures.items()
    }


def taken_for_real(discriminator: nn.Module, pixels: Bytes) -> float:
    """Share of ``pixels`` with a positive logit."""
    device = next(discriminator.parameters()).device
    real = 0
    with torch.no_grad():
        for start in range(0, len(pixels), _BATCH):
            batch = torch.from_numpy(pixels[start : start + _BATCH].copy()).to(device)
            real += int((discriminator(scaled(batch)) > 0).sum())
    return real / len(pixels)
