"""What was measured of one generator, as a file that a run keeps and ``export`` reads."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from app.artifact import atomic_files
from training.errors import RunError
from training.evaluation.features import Shipped


class Part(BaseModel):
    """Of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureNetwork(Part):
    """With which the images were looked at."""

    file: str
    sha256: str
    accuracy: float
    """Share of the test images whose class it tells; of attributes, the mean of their shares."""

    @classmethod
    def of(cls, shipped: Shipped) -> "FeatureNetwork":
        """What a record says of ``shipped``."""
        return cls(file=shipped.path.name, sha256=shipped.sha256, accuracy=shipped.accuracy)


class Record(Part):
    """What every record says."""

    schema_version: Literal[1] = 1
    subject: str
    step: int | None
    """Of the checkpoint; None for a published version."""
    dataset: str
    feature_network: FeatureNetwork
    device: str
    seconds: float

    def write(self, path: Path) -> None:
        """Write the record as JSON."""
        atomic_files.write(path, (self.model_dump_json(indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record in ``path``, None where there is none. Raises RunError for a damaged one."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise RunError(f"{path}: {error}") from error

    @classmethod
    def of_step(cls, path: Path, step: int) -> Self | None:
        """The record in ``path`` if it is of ``step``; one of another checkpoint is told of."""
        found = cls.read(path)
        if found is None or found.step == step:
            return found
        print(f"{path}: left out, as it is of step {found.step}, not of {step}")
        return None
