"""The run folder: what a run was told, what it measured and what it drew.

    options.json            the run's Config
    metrics.jsonl           one line an epoch
    samples/epoch-001.png   the same 64 seeds after every epoch
    checkpoints/last.pt     what --resume goes on from
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from app import images, latents
from training.config import Config
from training.errors import RunError
from training.export.pixels import to_pixels
from training.loop import Report

_SAMPLES = 64


@dataclass(frozen=True)
class Run:
    """The folder of one run."""

    folder: Path

    @property
    def options(self) -> Path:
        return self.folder / "options.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "last.pt"

    def begin(self, config: Config) -> None:
        """Make the folder and write the options. Refuses a folder that holds a run already."""
        if self.options.exists():
            raise RunError(f"{self.folder}: holds a run already; go on with --resume")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.folder}: cannot be made: {error}") from error
        self.write_options(config)

    def write_options(self, config: Config) -> None:
        """Write ``config`` as the run's options."""
        try:
            self.options.write_text(config.model_dump_json(indent=2, exclude_unset=True) + "\n")
        except OSError as error:
            raise RunError(f"{self.options}: cannot be written: {error}") from error

    def config(self) -> Config:
        """The run's options. Raises RunError where the folder holds none."""
        try:
            return Config.model_validate_json(self.options.read_text())
        except OSError as error:
            raise RunError(f"{self.folder}: holds no run: {error}") from error
        except ValidationError as error:
            raise RunError(f"{self.options}: {error}") from error

    def epochs(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``."""
        if not self.metrics.exists():
            return []
        return [json.loads(line) for line in self.metrics.read_text().splitlines()]

    def record(self, report: Report, seconds: float, device: str) -> None:
        """Add an epoch's line. ``seconds``: what the epoch took, with its samples."""
        line = {**dataclasses.asdict(report), "seconds": round(seconds, 2), "device": device}
        del line["epoch_done"]
        with self.metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rewind(self, step: int) -> None:
        """Forget the lines after ``step``: a run cut off after its line will write it again."""
        lines = [json.dumps(line) + "\n" for line in self.epochs() if line["step"] <= step]
        if self.metrics.exists():
            self.metrics.write_text("".join(lines))

    def draw(self, generator: nn.Sequential, config: Config, epoch: int) -> None:
        """Write the epoch's sample grid: seeds 0 to 63."""
        device = next(generator.parameters()).device
        z = latents.from_seeds(range(_SAMPLES), config.latent_dim, config.prior)
        pixels = to_pixels(generator, torch.from_numpy(z).to(device))
        path = self.folder / "samples" / f"epoch-{epoch:03d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(images.png(images.sheet(pixels, columns=8)))
