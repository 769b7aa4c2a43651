"""How well a conditional generator follows its conditions: agreement, and figures of each class."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.evaluation import distances
from training.evaluation.features import Extracted, Labels, NetworkSpec
from training.evaluation.records import Figure, MeasuredMetric

PROTOCOLS = {
    "class_agreement": (
        "share of {fake}, each of the class of its seed, in which the classifier over {network} "
        "sees this class; {worst}"
    ),
    "class_fd_cnn": (
        "mean over the classes of the Fréchet distance (Heusel et al. 2017, equation 6) of the "
        "images of a class, among {fake}, to the test images of the same class, as intra FID "
        "(Miyato and Koyama 2018, section 4) but on {network}; {worst}"
    ),
    "class_recall": (
        "mean over the classes of the share of the test images of a class on the manifold of the "
        "images of the same class, among {fake} (Kynkäänniemi et al. 2019, section 2; k = 3) on "
        "{network}; {worst}"
    ),
    "attribute_agreement": (
        "share of {fake}, each with the attributes of its seed, in which the classifier over "
        "{network} sees an attribute that was requested, and none that was not; mean over the "
        "attributes; {worst}"
    ),
}
"""How each figure is measured. Published cards contain these texts: do not change them."""

ACCURACY = "the test images and their true labels, the accuracy of the classifier"
"""The real images of the floor of an agreement."""

_NEIGHBOURS = 3
"""k of the recall, as among all images."""


class Labelled(NamedTuple):
    """Images as the feature network sees them, and their labels."""

    extracted: Extracted
    labels: Labels
    """The true labels of real images, the requested labels of generated ones."""

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where the network sees what the label says: ``(n,)`` or ``(n, k)``."""
        return np.asarray(self.extracted.labels == self.labels)

    def of_class(self, number: int) -> "Labelled":
        """The images whose label is class ``number``."""
        rows = self.labels == number
        extracted = Extracted(self.extracted.features[rows], self.extracted.labels[rows])
        return Labelled(extracted, self.labels[rows])


class Agreement(NamedTuple):
    """The figures of a conditional generator, each with its floor."""

    metrics: dict[str, MeasuredMetric]
    by_name: dict[str, dict[str, Figure]]
    """For each class or attribute, its figures by name."""


def measure(train: Labelled, test: Labelled, fake: Labelled, spec: NetworkSpec) -> Agreement:
    """The agreement of ``fake`` with the labels requested, and for classes the figures of each.

    The floor of an agreement is the accuracy of the network on ``test``. That of another figure is
    the figure of training images of the class in place of the generated ones, as many of them.
    """
    overall = {"agreement": Figure(value=fake.right.mean(), floor=test.right.mean())}
    if spec.exclusive:
        by_name = {
            name: _of_class(train.of_class(k), test.of_class(k), fake.of_class(k))
            for k, name in enumerate(spec.names)
        }
        overall |= {
            figure: _mean(by_name, figure)
            for figure in ("fd_cnn", "recall")
            if any(figure in figures for figures in by_name.values())
        }
    else:
        by_name = {name: _of_attribute(test, fake, k) for k, name in enumerate(spec.names)}
    kind, seeds = "class" if spec.exclusive else "attribute", len(fake.labels)
    metrics = {}
    for figure, found in overall.items():
        protocol = PROTOCOLS[f"{kind}_{figure}"].format(
            fake=f"the {seeds} images of seeds 0 to {seeds - 1}",
            network=spec.description,
            worst=_worst(by_name, figure),
        )
        real = {"real": ACCURACY} if figure == "agreement" else {}
        metrics[f"{kind}_{figure}"] = MeasuredMetric(
            value=found.value, floor=found.floor, protocol=protocol, **real
        )
    return Agreement(metrics, by_name)


def _of_class(train: Labelled, test: Labelled, fake: Labelled) -> dict[str, Figure]:
    """The figures of the images of one class; none for which there are too few images."""
    real, generated = test.extracted.features, fake.extracted.features
    training = train.extracted.features[: len(generated)]
    figures = {}
    if len(generated) and len(real):
        figures["agreement"] = Figure(value=fake.right.mean(), floor=test.right.mean())
    if min(len(real), len(generated), len(training)) > 1:
        figures["fd_cnn"] = Figure(
            value=distances.frechet(real, generated), floor=distances.frechet(real, training)
        )
    if min(len(real), len(generated), len(training)) > _NEIGHBOURS:
        value, floor = (
            distances.precision_recall(real, images, _NEIGHBOURS).recall
            for images in (generated, training)
        )
        figures["recall"] = Figure(value=value, floor=floor)
    return figures


def _of_attribute(test: Labelled, fake: Labelled, number: int) -> dict[str, Figure]:
    """The agreement on one attribute: on all images, and on those with it and those without it.

    An attribute that is rare agrees mostly if it is never generated; ``requested`` shows that.
    """
    right = [images.right[:, number] for images in (fake, test)]
    has = [images.labels[:, number] for images in (fake, test)]
    figures = {"agreement": Figure(value=right[0].mean(), floor=right[1].mean())}
    for figure, wanted in (("requested", True), ("excluded", False)):
        value, floor = (each[own == wanted] for each, own in zip(right, has, strict=True))
        if len(value) and len(floor):
            figures[figure] = Figure(value=value.mean(), floor=floor.mean())
    return figures


def _mean(by_name: dict[str, dict[str, Figure]], figure: str) -> Figure:
    """The mean of ``figure`` over the classes that have it."""
    found = [figures[figure] for figures in by_name.values() if figure in figures]
    return Figure(
        value=np.mean([one.value for one in found]), floor=np.mean([one.floor for one in found])
    )


def _worst(by_name: dict[str, dict[str, Figure]], figure: str) -> str:
    """The class or attribute with the worst ``figure``, and its value."""
    found = {name: figures[figure] for name, figures in by_name.items() if figure in figures}
    sign = -1 if figure == "fd_cnn" else 1
    name = min(found, key=lambda name: sign * found[name].value)
    return f"worst: {name}, {found[name].value:.4g}"
