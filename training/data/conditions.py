"""Labels of training images as the conditions of a generator, and as the card describes them."""

from dataclasses import replace

import numpy as np

from app.artifact.card import Attributes, ImageAttribute, ImageClass
from app.latent.conditions import Conditions, one_hot
from training.config import Config
from training.data.images import ImageSet
from training.data.labels import ImageLabels
from training.errors import DataError

PATTERNS = 1024
"""Training images whose attributes the card keeps."""

_MIN_EXPECTED = 10
"""Expected number of images with both of two attributes above which their absence is no chance."""


def selected(found: ImageSet, config: Config, *, complete: bool = True) -> ImageSet:
    """The images of ``config.classes`` in ``found``, with the labels of ``config.conditional``.

    All images if no classes are named. Raises DataError if there are no such classes or labels, and
    if one of the classes named has no image, unless ``complete`` is false.
    """
    if config.classes:
        if found.labels is None or not found.labels.exclusive:
            raise DataError(
                f"--classes {config.classes}: the images of {found.name} have none{_needed(config)}"
            )
        try:
            rows, labels = found.labels.subset(config.class_names)
        except DataError as error:
            raise DataError(f"--classes {config.classes}: {error}") from error
        for number, name in enumerate(labels.names):
            if complete and number not in labels.values:
                raise DataError(f"--classes {name}: {found.name} has no image of this class")
        found = replace(found, pixels=found.pixels[rows], labels=labels)
    if config.conditional == "none":
        return replace(found, labels=None)
    if config.conditional == "auto":
        return found
    kind = None if found.labels is None else _kind(found.labels)
    if kind != config.conditional:
        instead = f"they have {kind}" if kind else f"they have no labels{_needed(config)}"
        raise DataError(
            f"--conditional {config.conditional}: the images of {found.name} have none; {instead}"
        )
    return found


def _needed(config: Config) -> str:
    """What gives the images of a folder classes, to end an error; empty for other data sets."""
    from_folder = config.folder and config.conditional != "attributes"
    return "; each must be in one of two or more subfolders" if from_folder else ""


def _kind(labels: ImageLabels) -> str:
    return "classes" if labels.exclusive else "attributes"


def conditions(labels: ImageLabels) -> Conditions:
    """The condition of each image: float32 ``(n, k)``."""
    if labels.exclusive:
        return one_hot(labels.values, len(labels.names))
    return labels.values.astype(np.float32)


def classes(labels: ImageLabels | None) -> list[ImageClass] | None:
    """The classes of ``labels`` for a card; None if there are none."""
    if labels is None or not labels.exclusive:
        return None
    shares = conditions(labels).mean(axis=0, dtype=np.float64)
    return [
        ImageClass(name=name, share=round(float(share), 6))
        for name, share in zip(labels.names, shares, strict=True)
    ]


def attributes(labels: ImageLabels | None) -> Attributes | None:
    """The attributes of ``labels`` for a card; None if there are none.

    Its patterns are those of images chosen at random, the same ones for the same labels.
    """
    if labels is None or labels.exclusive:
        return None
    table = labels.values.astype(np.int64)
    shares = table.mean(axis=0)
    together = table.T @ table
    expected = np.outer(shares, shares) * len(table)
    never = (together == 0) & (expected >= _MIN_EXPECTED)
    chosen = np.random.default_rng(0).permutation(len(table))[:PATTERNS]
    bits = table[chosen].astype(np.uint64) << np.arange(len(labels.names), dtype=np.uint64)
    return Attributes(
        attributes=[
            ImageAttribute(
                name=name,
                share=round(float(share), 6),
                excludes=[labels.names[k] for k in np.flatnonzero(row)],
            )
            for name, share, row in zip(labels.names, shares, never, strict=True)
        ],
        patterns=[f"{int(pattern):x}" for pattern in np.bitwise_or.reduce(bits, axis=1)],
    )
