"""How well an encoder reconstructs real images, and recovers what generated images were made of."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.latent.sampling import VARIANCE
from training.encoder.encode import Session
from training.encoder.images import Images
from training.encoder.refine import STEPS, refine
from training.encoder.ssim import ssim
from training.encoder.subject import Subject
from training.evaluation.metrics import ImageBytes
from training.evaluation.progress import bar
from training.evaluation.records import MeasuredMetric
from training.gan.conditional import Rows
from training.gan.pixels import BATCH, Track, of_latents, scaled

GENERATED = 2000
"""Seeds whose images are encoded."""
REFINED = 200
"""Test images of at most 64×64 pixels whose latents are optimised directly."""
PREFIX = "encoder_"
"""What the names of all these metrics begin with."""

PROTOCOLS = {
    "pixels": "mean squared error, of pixels from 0 to 1, of the reconstructions of {images}",
    "features": "mean squared error of {network} of the reconstructions of {images}",
    "ssim": "mean structural similarity (Wang et al. 2004) of {images} and their reconstructions",
    "latents": (
        "mean squared error of the latents found in {fake}, divided by the variance of the prior; "
        "1 for an encoder that always answers with the mean"
    ),
    "class_agreement": "share of {images} in which the encoder sees their true class",
    "attribute_agreement": (
        "share of {images} in which the encoder sees an attribute where they have it, and none "
        "where not, averaged over the attributes"
    ),
    "generated_class_agreement": "share of {fake} in which the encoder sees the class requested",
    "generated_attribute_agreement": (
        "share of {fake} in which the encoder sees an attribute where it was requested, and none "
        "where not, averaged over the attributes"
    ),
}
"""How each metric is measured. Published cards contain these texts: do not change them."""

Values = dict[str, float]


def measure(subject: Subject, session: Session, test: Images | None) -> dict[str, MeasuredMetric]:
    """All metrics of the encoder of ``session``; those of real images on ``test``.

    The floors are those of ``_refined`` test images after ``STEPS`` steps of direct optimisation.
    """
    values, floors = _of_generated(subject, session), Values()
    texts = {"fake": f"the {GENERATED} images of seeds 0 to {GENERATED - 1}", "images": ""}
    floor = ""
    if test is not None:
        texts["images"] = f"{len(test.pixels)} test images"
        rows = session.rows(test.pixels, bar("encoding test images"))
        values |= _reconstruction(subject, test.pixels, rows, bar("drawing them again"))
        if test.conditions is not None:
            values |= _agreement(subject, rows, test.conditions, "")
        chosen = np.linspace(0, len(rows) - 1, _refined(test.pixels)).astype(int)
        pixels = test.pixels[chosen]
        floors = _reconstruction(subject, pixels, refine(subject, pixels, rows[chosen], STEPS))
        floor = f"{len(chosen)} of the test images after {STEPS} steps of Adam on their latents"
    if subject.spec:
        texts["network"] = subject.spec.description
    return {
        PREFIX + name: MeasuredMetric(
            value=value,
            floor=floors.get(name),
            protocol=PROTOCOLS[name].format(**texts),
            **({"real": floor} if name in floors else {}),
        )
        for name, value in values.items()
    }


def _refined(images: ImageBytes) -> int:
    """How many of ``images`` to optimise: those of more than 64×64 pixels take longer."""
    area = math.prod(images.shape[2:])
    return min(len(images), max(1, REFINED * 64 * 64 // max(64 * 64, area)))


def _of_generated(subject: Subject, session: Session) -> Values:
    model = subject.model
    true = model.rows(range(GENERATED))
    images = model.images(GENERATED, track=bar(f"generating {GENERATED} images"))
    found = session.rows(images, bar("encoding generated images"))
    width = model.latent.width
    error = np.square(found[:, :width] - true[:, :width]).mean() / VARIANCE[model.latent.prior]
    values = {"latents": float(error)}
    if subject.conditions:
        values |= _agreement(subject, found, true[:, width:], "generated_")
    return values


def _agreement(subject: Subject, found: Rows, true: NDArray[np.float32], prefix: str) -> Values:
    """How often the conditions in ``found`` ``(n, z + k)`` are the ``true`` ones ``(n, k)``."""
    seen = found[:, subject.model.latent.width :]
    if subject.exclusive:
        right = seen.argmax(axis=1) == true.argmax(axis=1)
    else:
        right = (seen > 0.5) == (true > 0.5)
    kind = "class" if subject.exclusive else "attribute"
    return {f"{prefix}{kind}_agreement": float(right.mean())}


def _reconstruction(
    subject: Subject, images: ImageBytes, rows: Rows, track: Track = iter
) -> Values:
    """How far uint8 ``images`` ``(n, c, h, w)`` are from what the generator makes of ``rows``."""
    drawn = of_latents(subject.model.draw, rows, track)
    totals: dict[str, list[Tensor]] = {}
    for start in range(0, len(images), BATCH):
        true, found = (
            torch.tensor(each[start : start + BATCH], device=subject.device)
            for each in (images, drawn)
        )
        values = {"pixels": _distance(true / 255, found / 255)}
        if subject.features is not None:
            with torch.no_grad():
                features = (subject.features(scaled(each)) for each in (true, found))
                values["features"] = _distance(*features)
        values["ssim"] = ssim(true, found)
        for name, each in values.items():
            totals.setdefault(name, []).append(each)
    return {name: float(torch.cat(each).mean()) for name, each in totals.items()}


def _distance(first: Tensor, second: Tensor) -> Tensor:
    """The mean squared difference of each pair ``(n,)``."""
    return (first - second).square().flatten(1).mean(dim=1)
