"""The record of an evaluation: every measure with its floor and its protocol."""

from collections.abc import Iterator

from pydantic import Field

from app.artifact.card import Metric
from training.evaluation.records import Part, Record


class Measure(Part):
    """One figure."""

    value: float
    floor: float | None
    """The same with real training images in place of the generated: what perfection scores."""
    protocol: str

    def metric(self) -> Metric:
        """The figure as a card tells it: a card knows no floors, so the protocol takes it in."""
        if self.floor is None:
            return Metric(value=self.value, protocol=self.protocol)
        real = f"; {self.floor:.4g} for as many training images in place of the generated"
        return Metric(value=self.value, protocol=self.protocol + real)


class Share(Part):
    """How many of the images the feature network takes for one class, or sees one attribute in.

    In 0…1.
    """

    generated: float
    training: float


class Evaluation(Record):
    """All that one evaluation found; as JSON the content of ``evaluation.json``."""

    samples: int
    training_images: int
    test_images: int
    metrics: dict[str, Measure]
    class_shares: dict[str, Share] = Field(default_factory=dict)
    """By class; they sum to 1. Empty for a data set of attributes."""
    attribute_shares: dict[str, Share] = Field(default_factory=dict)
    """By attribute; each is apart from the others. Empty for a data set of classes."""

    def table(self) -> Iterator[str]:
        """The record as lines to read."""
        step = "" if self.step is None else f", step {self.step}"
        yield f"{self.subject}{step}: {self.samples} images against {self.test_images} test images"
        yield f"{'':20}{'generated':>12}{'real':>12}"
        for name, measure in self.metrics.items():
            floor = "" if measure.floor is None else f"{measure.floor:.4f}"
            yield f"{name:20}{measure.value:12.4f}{floor:>12}"
        for name, share in (self.class_shares | self.attribute_shares).items():
            yield f"{name:20}{share.generated:12.1%}{share.training:12.1%}"
        yield f"real: the first {self.samples} training images in place of the generated"
        yield f"features: {self.feature_network.file}; {self.seconds:.0f} s on {self.device}"
