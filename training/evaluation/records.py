"""The records of ``evaluate``, ``attributes``, ``directions`` and ``encoder``: JSON files.

``export`` reads them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.artifact import atomic_files
from app.artifact.card import Direction, Directions, Metric
from training.evaluation.features import NetworkSpec
from training.run.journal import damaged


class RecordPart(BaseModel):
    """Base class of the records and their parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureNetwork(RecordPart):
    """The feature network with which the images were measured."""

    file: str
    sha256: str
    accuracy: float | None
    """Accuracy on the test images; for attributes, the mean over all attributes. None if it was
    trained without labels."""

    @classmethod
    def of(cls, spec: NetworkSpec) -> "FeatureNetwork":
        """The record of ``spec``."""
        return cls(file=spec.path.name, sha256=spec.sha256, accuracy=spec.accuracy)


class Record(RecordPart):
    """The fields that all records have."""

    schema_version: Literal[1] = 1
    subject: str
    """Title of the model that was measured."""
    step: int | None
    """Training step of the checkpoint; None for a published version."""
    dataset: str
    feature_network: FeatureNetwork | None
    """None if there is none for such images."""
    device: str
    seconds: float

    def write(self, path: Path) -> None:
        """Write the record to ``path`` as JSON."""
        atomic_files.write(path, (self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record in ``path``; None if the file is missing. Raises RunError if it is damaged."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise damaged(path, error) from error

    @classmethod
    def read_for_step(cls, path: Path, step: int) -> Self | None:
        """The record in ``path`` if it is of ``step``, else None.

        Prints a message if the record is of another checkpoint. Raises RunError if it is damaged.
        """
        found = cls.read(path)
        if found is None or found.step == step:
            return found
        print(f"{path}: ignored, because it is of step {found.step}, not of step {step}")
        return None

    def _title(self) -> str:
        return self.subject if self.step is None else f"{self.subject}, step {self.step}"

    def _footer(self) -> str:
        network = self.feature_network.file if self.feature_network else "none"
        return f"features: {network}; {self.seconds:.0f} s on {self.device}"


TRAINING_IMAGES = "as many training images in place of the generated"
"""The real images of most floors."""


class MeasuredMetric(RecordPart):
    """One metric of generated images."""

    value: float
    floor: float | None
    """The same metric of real images instead of generated ones: the best possible value."""
    protocol: str
    real: str = TRAINING_IMAGES
    """The real images of the floor."""

    def for_card(self) -> Metric:
        """The metric for a model card. Cards have no floors, so it becomes part of the protocol."""
        if self.floor is None:
            return Metric(value=self.value, protocol=self.protocol)
        real = f"; {self.floor:.4g} for {self.real}"
        return Metric(value=self.value, protocol=self.protocol + real)


class Figure(RecordPart):
    """One figure of the images of one class, or with one attribute."""

    value: float
    floor: float
    """The same figure of real images."""


class Share(RecordPart):
    """Share of the images of one class, or with one attribute, by the feature network: 0…1."""

    generated: float
    training: float


class EvaluationRecord(Record):
    """The results of ``evaluate``; as JSON the content of ``evaluation.json``."""

    samples: int
    """Number of generated images."""
    training_images: int
    test_images: int
    reference: str = "test images"
    """What the test images are."""
    metrics: dict[str, MeasuredMetric]
    class_shares: dict[str, Share] = Field(default_factory=dict)
    """By class; they sum to 1. Empty for a data set with attributes."""
    attribute_shares: dict[str, Share] = Field(default_factory=dict)
    """By attribute, each independent of the others. Empty for a data set with classes."""
    conditions: dict[str, dict[str, Figure]] = Field(default_factory=dict)
    """For each class or attribute of a conditional generator, its figures by name."""

    def table(self) -> Iterator[str]:
        """The record as lines of text."""
        yield f"{self._title()}: {self.samples} images against {self.test_images} {self.reference}"
        yield f"{'':20}{'generated':>12}{'real':>12}"
        for name, metric in self.metrics.items():
            floor = "" if metric.floor is None else f"{metric.floor:.4f}"
            yield f"{name:20}{metric.value:12.4f}{floor:>12}"
        for name, share in (self.class_shares | self.attribute_shares).items():
            yield f"{name:20}{share.generated:12.1%}{share.training:12.1%}"
        yield from self._conditions_table()
        yield f"real: the first {self.samples} training images instead of the generated ones"
        if self.conditions:
            yield f"real, of agreements: the {self.reference} and their true labels"
        yield self._footer()

    def _conditions_table(self) -> Iterator[str]:
        """The figures of each class or attribute, those of real images in brackets."""
        columns = list(dict.fromkeys(name for row in self.conditions.values() for name in row))
        if columns:
            yield f"{'':20}" + "".join(f"{f'{column} (real)':>22}" for column in columns)
        for name, row in self.conditions.items():
            cells = (row.get(column) for column in columns)
            yield f"{name:20}" + "".join(
                f"{f'{cell.value:.4f} ({cell.floor:.4f})' if cell else '':>22}" for cell in cells
            )


class EncoderRecord(Record):
    """The results of ``encoder``; as JSON the content of ``encoder.json``."""

    sha256: str
    """Of the encoder's graph."""
    size: int
    """Of the graph, in bytes."""
    milliseconds: float
    """CPU time for one image, on one thread."""
    training: dict[str, Any]
    """How it was trained: steps, seconds, batch size, device. Empty for a published version."""
    metrics: dict[str, MeasuredMetric]

    def table(self) -> Iterator[str]:
        """The record as lines of text."""
        yield (
            f"{self._title()}: an encoder of {self.size / 1e6:.2f} MB, {self.milliseconds:.2f} ms "
            "of CPU time for an image"
        )
        yield f"{'':36}{'encoder':>12}{'optimised':>12}"
        for name, metric in self.metrics.items():
            floor = "" if metric.floor is None else f"{metric.floor:.4f}"
            yield f"{name:36}{metric.value:12.4f}{floor:>12}"
        for real in {metric.real for metric in self.metrics.values() if metric.floor is not None}:
            yield f"optimised: {real}"
        yield self._footer()


class AttributeEdit(RecordPart):
    """The effect of the edit of one attribute."""

    share: float
    """Share of the unedited images that have the attribute."""
    direction: Direction
    kept: dict[str, float]
    """For each other attribute, the share of edited images in which it is unchanged."""

    @property
    def least_kept(self) -> str:
        """The name and the share of the other attribute that changes most often, if any."""
        if not self.kept:
            return ""
        name = min(self.kept, key=self.kept.__getitem__)
        return f"{name} {self.kept[name]:.0%}"


class UnlabelledDirection(RecordPart):
    """A direction that was found without labels."""

    share: float
    """Share of the variance of the first layer that it explains."""
    vector: list[float]


class DirectionsRecord(Record):
    """The results of ``directions``; as JSON the content of ``sefa.json`` or ``pca.json``."""

    protocol: str
    found: dict[str, UnlabelledDirection]
    """By name, ``sefa_1`` first."""

    def directions(self) -> Directions:
        """The directions for a model card."""
        vectors = {name: Direction(vector=one.vector) for name, one in self.found.items()}
        return Directions(protocol=self.protocol, attributes=vectors)

    def table(self) -> Iterator[str]:
        """The record as lines of text."""
        yield f"{self._title()}: {len(self.found)} directions"
        yield f"{'':14}{'share':>8}"
        for name, one in self.found.items():
            yield f"{name:14}{one.share:8.1%}"
        yield "share: of the variance of the first layer"


class AttributesRecord(Record):
    """The results of ``attributes``; as JSON the content of ``attributes.json``."""

    count: int
    """Number of generated images: half to find directions, half to evaluate them."""
    protocol: str
    edits: dict[str, AttributeEdit]

    def directions(self) -> Directions | None:
        """The directions for a model card; None if there are no edits."""
        if not self.edits:
            return None
        attributes = {name: edit.direction for name, edit in self.edits.items()}
        return Directions(protocol=self.protocol, attributes=attributes)

    def table(self) -> Iterator[str]:
        """The record as lines of text."""
        yield f"{self._title()}: {self.count} images"
        yield f"{'':14}{'share':>8}{'gained':>8}{'kept':>8}  least kept"
        for name, edit in self.edits.items():
            shares = (edit.share, edit.direction.gained, edit.direction.kept)
            yield f"{name:14}{''.join(f'{share:8.1%}' for share in shares)}  {edit.least_kept}"
        yield self._footer()
