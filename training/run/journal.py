"""The run folder: what a run was told, what it measured and what it drew.

options.json            the run's Config
data.json               what it learns from
metrics.jsonl           one line an epoch
losses.png              both players' losses by epoch
accuracy.png            how often the discriminator was right, by epoch
samples/epoch-001.png   the same 64 seeds after every epoch
training.gif            these samples, one after another
events/                 the same for TensorBoard
checkpoints/last.pt     what --resume goes on from
checkpoints/best.pt     the one with the least score, where --score-every asks for scores
evaluation.json         what ``evaluate`` measured
attributes.json         what ``attributes`` found
probe.json              what ``probe`` measured
figures/                what ``figures`` drew
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from torch import nn

from app.artifact import atomic_files
from app.imaging import png, sheets
from app.latent import sampling
from training.config import Config, Which
from training.data.images import ImageSet
from training.errors import RunError
from training.gan.pixels import to_pixels
from training.run.report import Report

SCORE = "fd_cnn"
"""The name of the score in an epoch's line."""

_SAMPLES = 64

Model = TypeVar("Model", bound=BaseModel)


class Data(BaseModel):
    """What a run learns from."""

    name: str
    licence: str
    images: int
    channels: int
    height: int
    width: int

    @classmethod
    def of(cls, image_set: ImageSet) -> "Data":
        """The facts about ``image_set``."""
        count, channels, height, width = image_set.pixels.shape
        return cls(
            name=image_set.name,
            licence=image_set.licence,
            images=count,
            channels=channels,
            height=height,
            width=width,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: (channels, height, width)."""
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class Run:
    """The folder of one run."""

    folder: Path

    @property
    def options(self) -> Path:
        """Its ``Config``."""
        return self.folder / "options.json"

    @property
    def metrics(self) -> Path:
        """One line an epoch."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        """What ``--resume`` goes on from."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        """The checkpoint with the least score, if there are scores."""
        return self.folder / "checkpoints" / "best.pt"

    def chosen(self, which: Which | None) -> Path:
        """The checkpoint that ``which`` names; for None the best where there is one."""
        best = which == "best" or (which is None and self.best.exists())
        return self.best if best else self.checkpoint

    @property
    def evaluation(self) -> Path:
        """What ``evaluate`` measured, at whichever step that was."""
        return self.folder / "evaluation.json"

    @property
    def edits(self) -> Path:
        """What ``attributes`` found, at whichever step that was."""
        return self.folder / "attributes.json"

    @property
    def losses(self) -> Path:
        """The players' losses by epoch."""
        return self.folder / "losses.png"

    @property
    def accuracy(self) -> Path:
        """The discriminator's accuracy by epoch."""
        return self.folder / "accuracy.png"

    @property
    def animation(self) -> Path:
        """The samples, one after another."""
        return self.folder / "training.gif"

    @property
    def events(self) -> Path:
        """TensorBoard's files."""
        return self.folder / "events"

    @property
    def probe(self) -> Path:
        """What ``probe`` measured, at whichever step that was."""
        return self.folder / "probe.json"

    @property
    def figures(self) -> Path:
        """What ``figures`` drew."""
        return self.folder / "figures"

    def samples(self, epoch: int) -> Path:
        """The sample grid of ``epoch``."""
        return self.folder / "samples" / f"epoch-{epoch:03d}.png"

    def begin(self, config: Config, data: Data) -> None:
        """Make the folder and write what the run is told. Refuses one that holds a run already."""
        if self.options.exists():
            raise RunError(f"{self.folder}: holds a run already; go on with --resume")
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
        """The run's options. Raises RunError where the folder holds none."""
        return _read(self.options, Config)

    def data(self) -> Data:
        """What the run learns from. Raises RunError where the folder does not say."""
        return _read(self.folder / "data.json", Data)

    def epochs(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``."""
        if not self.metrics.exists():
            return []
        # A last line without its end was cut off while it was written.
        whole, _, _ = self.metrics.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]

    def least_score(self) -> float:
        """The score of the best checkpoint; infinite where there is none."""
        scores = [line[SCORE] for line in self.epochs() if SCORE in line]
        return min(scores, default=math.inf) if self.best.exists() else math.inf

    def record(
        self, report: Report, seconds: float, device: str, score: float | None = None
    ) -> None:
        """Add an epoch's line. ``seconds``: what the epoch took, with its samples and its score."""
        line = {**dataclasses.asdict(report), "seconds": round(seconds, 2), "device": device}
        del line["epoch_done"]
        if score is not None:
            line[SCORE] = score
        with self.metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, step: int) -> None:
        """Forget the lines after ``step``: a run cut off after its line will write it again."""
        lines = [json.dumps(line) + "\n" for line in self.epochs() if line["step"] <= step]
        if self.metrics.exists():
            atomic_files.write(self.metrics, "".join(lines).encode())

    def draw(self, generator: nn.Module, config: Config, epoch: int) -> None:
        """Write the epoch's sample grid: seeds 0 to 63."""
        device = next(generator.parameters()).device
        z = sampling.from_seeds(range(_SAMPLES), config.latent_dim, config.prior)
        pixels = to_pixels(generator, torch.from_numpy(z).to(device))
        path = self.samples(epoch)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png.encode(sheets.sheet(pixels, columns=8)))


def _read(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: holds no run: {error.strerror}") from error
    except ValidationError as error:
        raise RunError(f"{path}: {error}") from error
