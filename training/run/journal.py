"""The run folder: the options of a run, its metrics, samples, checkpoints and measurements.

options.json            the run's Config
data.json               a summary of its training images
metrics.jsonl           one line per epoch
losses.png              the losses of both networks by epoch
accuracy.png            the discriminator's accuracy by epoch
samples/epoch-001.png   images of the same seeds after an epoch; with classes, one row each
training.gif            these samples as an animation
events/                 the same for TensorBoard
teacher.json            the name and the hash of the teacher, if the run has one
trackers.json           the identifiers of the run in MLflow and Weights & Biases
checkpoints/last.pt     the checkpoint from which --resume continues
checkpoints/best.pt     the checkpoint with the lowest score, if --score-every asks for scores
features.pt             the feature network of the scores, for images of a folder
evaluation.json         results of ``evaluate``
attributes.json         results of ``attributes``
sefa.json, pca.json     results of ``directions``
probe.json              results of ``probe``
encoder/                training and results of ``encoder``
figures/                pictures by ``figures``

Does not import torch, so that a command that is given a wrong folder says so quickly.
"""

import dataclasses
import json
import math
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from app.artifact import atomic_files
from app.artifact.card import Attributes, ImageClass, sampler_of
from app.latent.conditions import Sampler
from training.config import PLACEMENT, CheckpointChoice, Config
from training.data import conditions
from training.data.images import ImageSet
from training.errors import RunError
from training.gan.teacher import Teacher
from training.run import full_disk
from training.run.report import Report

_TEACHER = "teacher.json"
SCORE = "fd_cnn"
"""The name of the score in an epoch's line."""

Model = TypeVar("Model", bound=BaseModel)


class DataSummary(BaseModel):
    """A summary of a run's training images."""

    name: str
    licence: str
    images: int
    channels: int
    height: int
    width: int
    classes: list[ImageClass] | None = None
    """The classes of the images, if the networks take them."""
    attributes: Attributes | None = None
    """The attributes of the images, if the networks take them."""

    @classmethod
    def of(cls, image_set: ImageSet) -> "DataSummary":
        """The summary of ``image_set``."""
        count, channels, height, width = image_set.pixels.shape
        return cls(
            name=image_set.name,
            licence=image_set.licence,
            images=count,
            channels=channels,
            height=height,
            width=width,
            classes=conditions.classes(image_set.labels),
            attributes=conditions.attributes(image_set.labels),
        )

    def contrast(self, other: "DataSummary") -> str:
        """What differs in ``other``: the values here and there; of labels only that they differ."""
        ours, theirs = self.model_dump(), other.model_dump()
        return "; ".join(
            f"other {name}"
            if name in {"classes", "attributes"}
            else f"{name} {ours[name]}, not {theirs[name]}"
            for name in ours
            if ours[name] != theirs[name]
        )

    @property
    def sampler(self) -> Sampler | None:
        """Gives seeds their classes or attributes; None for unconditional networks."""
        return sampler_of(self.classes, self.attributes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one image: (channels, height, width)."""
        return self.channels, self.height, self.width


class TeacherRecord(BaseModel):
    """The teacher of a run."""

    name: str
    sha256: str
    """Of the file with its weights, as hexadecimal digits."""


@dataclass(frozen=True)
class Run:
    """The folder of one run."""

    folder: Path

    @property
    def options(self) -> Path:
        """The file of the run's ``Config``."""
        return self.folder / "options.json"

    @property
    def metrics(self) -> Path:
        """The file with one line per epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The checkpoint from which ``--resume`` continues."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint with the lowest score, if there are scores."""
        return self.folder / "checkpoints" / "best.pt"

    def chosen_checkpoint(self, choice: CheckpointChoice | None) -> Path:
        """The last or the best checkpoint. None means the best if it exists, else the last."""
        best = choice == "best" or (choice is None and self.best_checkpoint.exists())
        return self.best_checkpoint if best else self.checkpoint

    @property
    def features(self) -> Path:
        """The feature network of the run's scores, if its images are those of a folder."""
        return self.folder / "features.pt"

    def keep_features(self, source: Path) -> None:
        """Copy the feature network ``source`` into the run, whose scores must stay comparable."""
        atomic_files.write(self.features, source.read_bytes())

    def teacher(self) -> TeacherRecord | None:
        """The teacher that the run began with. Raises RunError if its record is damaged."""
        path = self.folder / _TEACHER
        return _read(path, TeacherRecord) if path.exists() else None

    def keep_teacher(self, teacher: Teacher) -> None:
        """Record ``teacher``, which must stay the same when the run is resumed."""
        record = TeacherRecord(name=teacher.name, sha256=teacher.sha256)
        content = record.model_dump_json(indent=2) + "\n"
        atomic_files.write(self.folder / _TEACHER, content.encode())

    @property
    def evaluation(self) -> Path:
        """The results of ``evaluate``, for the step that they name."""
        return self.folder / "evaluation.json"

    @property
    def edits(self) -> Path:
        """The results of ``attributes``, for the step that they name."""
        return self.folder / "attributes.json"

    def directions(self, method: str) -> Path:
        """The results of ``directions`` by ``method``, for the step that they name."""
        return self.folder / f"{method}.json"

    @property
    def losses(self) -> Path:
        """The plot of both networks' losses by epoch."""
        return self.folder / "losses.png"

    @property
    def accuracy(self) -> Path:
        """The plot of the discriminator's accuracy by epoch."""
        return self.folder / "accuracy.png"

    @property
    def animation(self) -> Path:
        """The samples as an animation."""
        return self.folder / "training.gif"

    @property
    def events(self) -> Path:
        """The folder of TensorBoard's files."""
        return self.folder / "events"

    def tracker_runs(self) -> dict[str, str]:
        """The identifier of the run in each tracker that has one. Raises RunError if damaged."""
        path = self.folder / "trackers.json"
        return _object(path, path.read_text(errors="replace"), 1) if path.exists() else {}

    def keep_tracker_run(self, tracker: str, identifier: str) -> None:
        """Record the identifier of the run in a tracker, so that ``--resume`` continues it."""
        content = json.dumps({**self.tracker_runs(), tracker: identifier}) + "\n"
        atomic_files.write(self.folder / "trackers.json", content.encode())

    @property
    def probe(self) -> Path:
        """The results of ``probe``, for the step that they name."""
        return self.folder / "probe.json"

    @property
    def encoder(self) -> Path:
        """The folder of the encoder."""
        return self.folder / "encoder"

    @property
    def figures(self) -> Path:
        """The folder of the pictures by ``figures``."""
        return self.folder / "figures"

    def samples(self, epoch: int) -> Path:
        """The sample sheet of ``epoch``."""
        return self.folder / "samples" / f"epoch-{epoch:03d}.png"

    def check_is_new(self) -> None:
        """Raise RunError if the folder contains a run already."""
        if self.options.exists():
            raise RunError(
                f"--out {self.folder}: already contains a run; continue it with --resume, or use "
                "another folder"
            )

    def create(self, config: Config, data: DataSummary) -> None:
        """Create the folder with the options and the data's summary.

        Raises RunError if it contains a run already or cannot be written.
        """
        self.check_is_new()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "data.json").write_text(data.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be written: {error.strerror}") from error
        self.write_options(config)

    def write_options(self, config: Config) -> None:
        """Write ``config`` as the run's options."""
        atomic_files.write(self.options, (config.model_dump_json(indent=2) + "\n").encode())

    def config(self) -> Config:
        """The run's options. Raises RunError if they are missing or damaged."""
        if not self.options.exists():
            raise RunError(f"no run in {self.folder}; name the folder that fit wrote, its --out")
        saved = _read(self.options, Config)
        # Early versions had no such option; their networks were unconditional.
        early = "conditional" not in saved.model_fields_set
        return saved.model_copy(update={"conditional": "none"}) if early else saved

    def public_options(self, config: Config) -> dict[str, Any]:
        """Those of ``config`` that decide the result, for others: names, not paths."""
        options = config.model_dump(mode="json", exclude=set(PLACEMENT))
        source = "/".join(config.init_from.parts[-2:]) if config.init_from else None
        names = {"dataset": self.data().name, "init_from": source}
        if teacher := self.teacher():
            names |= {"teacher": teacher.name, "teacher_sha256": teacher.sha256}
        return {**options, **names}

    def data(self) -> DataSummary:
        """The summary of the training images. Raises RunError if it is missing or damaged."""
        return _read(self.folder / "data.json", DataSummary)

    def epochs(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``. Raises RunError if one is damaged."""
        if not self.metrics.exists():
            return []
        # A last line without a line break was cut off while it was written.
        complete, _, _ = self.metrics.read_text(errors="replace").rpartition("\n")
        lines = enumerate(complete.splitlines(), start=1)
        return [_object(self.metrics, line, number) for number, line in lines]

    def best_score(self) -> float:
        """The score of the best checkpoint; infinity if there is none."""
        scores = [line[SCORE] for line in self.epochs() if SCORE in line]
        return min(scores, default=math.inf) if self.best_checkpoint.exists() else math.inf

    def write_epoch(
        self, report: Report, seconds: float, device: str, score: float | None = None
    ) -> None:
        """Append an epoch's line. ``seconds`` includes the time for its samples and its score."""
        line = {**dataclasses.asdict(report), "seconds": round(seconds, 2), "device": device}
        del line["epoch_done"], line["stopping"]
        line = {name: value for name, value in line.items() if value is not None}
        if score is not None:
            line[SCORE] = score
        with self.writing(self.metrics), self.metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def writing(self, path: Path) -> AbstractContextManager[None]:
        """The context for writing ``path``. It raises RunError if the disk is full."""
        return full_disk.named(
            path,
            f"Free some space, for example by deleting {self.folder / 'samples'} and "
            f"{self.events}, which are only for viewing; then continue with --resume",
        )

    def rewind(self, step: int) -> None:
        """Remove the lines and the samples after ``step``: a resumed run writes them again."""
        kept = [line for line in self.epochs() if line["step"] <= step]
        if self.metrics.exists():
            lines = [json.dumps(line) + "\n" for line in kept]
            atomic_files.write(self.metrics, "".join(lines).encode())
        for path in set(self.sheets().values()) - {self.samples(line["epoch"]) for line in kept}:
            path.unlink()

    def sheets(self) -> dict[int, Path]:
        """The sample sheets that were drawn, by their epoch, in its order."""
        names = (path.name for path in (self.folder / "samples").glob("epoch-*.png"))
        found = (re.fullmatch(r"epoch-(\d{3,})\.png", name) for name in names)
        numbers = sorted(int(match[1]) for match in found if match)
        return {number: self.samples(number) for number in numbers}


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: ValidationError) -> RunError:
    """The error for the record in ``path``, in one line: the first of the values that are wrong."""
    first = error.errors()[0]
    place = "".join(f"{part}: " for part in first["loc"])
    return RunError(f"{path}: damaged: {place}{first['msg']}")


def _object(path: Path, text: str, line: int) -> dict[str, Any]:
    """The JSON object ``text``, which begins in the ``line`` of ``path``."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError(f"{path}: line {line} is damaged: it is not a JSON object; remove it")
    return found
