"""The folder of an encoder's training.

options.json     the options, and the generator that it belongs to
metrics.jsonl    the losses, one line per checkpoint
last.pt          the checkpoint from which --resume continues
encoder.onnx     the encoder
encoder.json     how good it is
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from app.artifact import atomic_files
from training.config import check_unchanged
from training.encoder.loop import Report
from training.encoder.options import EncoderOptions
from training.encoder.trainer import Trainer
from training.errors import RunError
from training.loop import checkpoint
from training.run import full_disk
from training.run.journal import damaged

RECORD_FILE = "encoder.json"

_FIXED = ("batch_size", "seed", "dataset", "real_images", "checkpoint")
"""The options that may not change when training is resumed."""
_OF_A_CALL = {"device", "threads", "out"}
"""The options that are those of each call: training may be resumed on another machine."""
_FREE = "Free some space, then continue with --resume"


class Begun(BaseModel):
    """What a training began with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str | None
    """Name and version of the generator; None for that of a run."""
    step: int | None
    """Training step of a run's checkpoint; None for a published version."""
    options: EncoderOptions

    @property
    def generator(self) -> str:
        """The generator in words."""
        return self.version or f"step {self.step}"


@dataclass(frozen=True)
class EncoderFolder:
    """The folder of one encoder."""

    path: Path

    @property
    def _options(self) -> Path:
        return self.path / "options.json"

    @property
    def _checkpoint(self) -> Path:
        return self.path / "last.pt"

    @property
    def metrics(self) -> Path:
        """The file with the losses."""
        return self.path / "metrics.jsonl"

    def begin(self, begun: Begun) -> None:
        """Create the folder. Raises RunError if there is an encoder in it already."""
        if self._options.exists():
            raise RunError(f"{self.path}: already contains an encoder; continue it with --resume")
        atomic_files.write(self._options, (begun.model_dump_json(indent=2) + "\n").encode())

    def resumed(self, flags: dict[str, Any]) -> EncoderOptions:
        """The options that it began with, changed by ``flags``.

        Raises RunError if there is no encoder, or if ``flags`` contradict what may not change.
        """
        saved = self._begun().options
        options = EncoderOptions.model_validate({**saved.model_dump(exclude=_OF_A_CALL), **flags})
        check_unchanged("the training", saved, options, _FIXED)
        return options

    def restore(self, trainer: Trainer, begun: Begun) -> None:
        """Continue at the last checkpoint. Raises RunError if it is of another generator."""
        saved = self._begun()
        if (saved.version, saved.step) != (begun.version, begun.step):
            raise RunError(
                f"{self.path}: has the encoder of {saved.generator}, not of {begun.generator}"
            )
        if self._checkpoint.exists():  # otherwise it was interrupted before the first one
            trainer.load_state_dict(checkpoint.load(self._checkpoint))

    def _begun(self) -> Begun:
        try:
            return Begun.model_validate_json(self._options.read_bytes())
        except OSError as error:
            raise RunError(f"{self.path}: has no encoder to resume: {error.strerror}") from error
        except ValidationError as error:
            raise damaged(self._options, error) from error

    def save(self, trainer: Trainer, report: Report) -> None:
        """Write a checkpoint, and a line with the losses. Raises RunError if the disk is full."""
        with full_disk.named(self._checkpoint, _FREE):
            checkpoint.save(trainer.state_dict(), self._checkpoint)
        with full_disk.named(self.metrics, _FREE), self.metrics.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(report)) + "\n")
