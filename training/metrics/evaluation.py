"""The record of an evaluation: every measure with its floor and its protocol."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from app.card import Metric
from training import files
from training.errors import RunError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measure(_Part):
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


class Share(_Part):
    """How many of the images the feature network takes for one class, or sees one attribute in.

    In 0…1.
    """

    generated: float
    training: float


class FeatureNetwork(_Part):
    """On whose features the sets were compared."""

    file: str
    sha256: str
    accuracy: float
    """Share of the test images whose class it tells; of attributes, the mean of their shares."""


class Evaluation(_Part):
    """All that one evaluation found; as JSON the content of ``evaluation.json``."""

    schema_version: Literal[1] = 1
    subject: str
    step: int | None
    """Of the checkpoint; None for a published version."""
    dataset: str
    samples: int
    training_images: int
    test_images: int
    feature_network: FeatureNetwork
    metrics: dict[str, Measure]
    class_shares: dict[str, Share] = {}
    """By class; they sum to 1. Empty for a data set of attributes."""
    attribute_shares: dict[str, Share] = {}
    """By attribute; each is apart from the others. Empty for a data set of classes."""
    device: str
    seconds: float

    def write(self, path: Path) -> None:
        """Write the record."""
        files.write(path, (self.model_dump_json(indent=2) + "\n").encode())

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


def read(path: Path) -> Evaluation | None:
    """The record in ``path``, None where there is none. Raises RunError for a damaged one."""
    try:
        return Evaluation.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise RunError(f"{path}: {error}") from error
