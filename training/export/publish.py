"""``export``: a run's generator becomes a version that the server can load."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from app.artifact import atomic_files, card
from app.artifact.card import Card, DataSet, Directions, Image, Latent, Metric, Training, Variant
from app.imaging import png, sheets
from app.imaging.sheets import Pixels
from app.latent import sampling
from app.latent.sampling import Latents
from training.config import PLACEMENT, CheckpointChoice, Config
from training.errors import ExportError
from training.evaluation import edits_record
from training.evaluation.evaluation_record import Evaluation
from training.export.graph import OPSET, graph
from training.export.runtime import onnxruntime, run_graph
from training.gan.gan import Gan
from training.gan.pixels import to_pixels
from training.loop.checkpoint import load
from training.run.journal import Run

GRAPH = "generator.onnx"
SHEET_IMAGES = 64

_PARITY_SEEDS = 1024
_PARITY_SHARE = 0.001


@dataclass(frozen=True)
class Provenance:
    """Where a generator comes from, as its card will tell."""

    dataset: DataSet
    training: Training
    metrics: dict[str, Metric]
    directions: Directions | None = None


@dataclass(frozen=True)
class Source:
    """A generator that is to be published."""

    latent: Latent
    image: Image
    provenance: Provenance
    opset: int
    graph: Callable[[dict[str, str]], bytes]
    """Its ONNX graph, with the metadata given."""
    draw: Callable[[Latents], Pixels]
    """What that graph must draw, computed without it."""


def export(
    run: Path, name: str, version: int, models: Path, checkpoint: CheckpointChoice | None = None
) -> Path:
    """Publish the averaged generator of the run folder ``run``; returns the version's folder.

    Without ``checkpoint``, it is that of the best where there is one, else of the last.
    Raises ExportError as ``release`` does, RunError for a run that cannot be read.
    """
    place = free(models, name, version)
    journal = Run(run)
    config, data = journal.config(), journal.data()
    gan = Gan(config, data.shape, torch.device("cpu"))
    gan.load_state_dict(load(journal.chosen_checkpoint(checkpoint)))
    source = of_network(
        gan.averaged_generator(),
        Latent(width=config.latent_dim, prior=config.prior),
        Image(height=data.height, width=data.width, channels=data.channels),
        Provenance(
            DataSet(name=data.name, licence=data.licence, images=data.images),
            _training(journal, config, gan.step),
            _evaluated(journal, gan.step),
            edits_record.directions_of(journal, gan.step),
        ),
    )
    return release(source, place)


def of_network(
    generator: nn.Module, latent: Latent, image: Image, provenance: Provenance
) -> Source:
    """A PyTorch generator in eval mode, latents ``(n, z)`` to images in [-1, 1], as a source."""
    shape = (image.height, image.width, image.channels)
    return Source(
        latent=latent,
        image=image,
        provenance=provenance,
        opset=OPSET,
        graph=lambda metadata: graph(generator, latent.width, shape, metadata),
        draw=lambda z: to_pixels(generator, torch.from_numpy(z)),
    )


def release(source: Source, place: Path) -> Path:
    """Publish ``source`` at ``place``, which ``free`` gave; returns it.

    Raises ExportError for a graph that does not draw what the source draws.
    """
    name, version = place.parent.name, int(place.name)
    content = source.graph(card.metadata(name, version))
    seeds = sampling.from_seeds(range(_PARITY_SEEDS), source.latent.width, source.latent.prior)
    pixels, parity = compare(source.draw(seeds), content, seeds)
    made = Card(
        name=name,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        latent=source.latent,
        image=source.image,
        opset=source.opset,
        variants=[Variant(file=GRAPH, sha256=card.digest(content))],
        dataset=source.provenance.dataset,
        training=source.provenance.training,
        metrics={"parity": parity, **source.provenance.metrics},
        directions=source.provenance.directions,
        libraries={library.__name__: library.__version__ for library in _libraries()},
    )
    publish(made, {GRAPH: content}, pixels[:SHEET_IMAGES], place)
    return place


def free(models: Path, name: str, version: int | None = None) -> Path:
    """The folder of a version that is not there yet; without ``version``, of the next one.

    Raises ExportError for a name or a version that cannot be used or is taken.
    """
    try:
        TypeAdapter(card.ModelName).validate_python(name)
        if version is None:
            version = 1 + max(card.version_numbers(models / name), default=0)
        TypeAdapter(card.VersionNumber).validate_python(version)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ExportError(f"{problem['input']}: {problem['msg']}") from error
    place = models / name / str(version)
    if place.exists():
        raise ExportError(f"{place}: is there already; a published version never changes")
    return place


def _training(journal: Run, config: Config, steps: int) -> Training:
    epochs = [line for line in journal.epochs() if line["step"] <= steps]
    options = config.model_dump(mode="json", exclude=set(PLACEMENT))
    return Training(
        # The data's name in place of a folder's path, which is its owner's business alone.
        options={**options, "dataset": journal.data().name},
        epochs=len(epochs),
        steps=steps,
        seconds=round(sum(line["seconds"] for line in epochs), 1),
        device=epochs[-1]["device"] if epochs else "none",
    )


def _evaluated(journal: Run, step: int) -> dict[str, Metric]:
    """The metrics of the run's evaluation, unless it is one of another checkpoint than this."""
    found = Evaluation.of_step(journal.evaluation, step)
    return {name: measure.metric() for name, measure in found.metrics.items()} if found else {}


def compare(expected: Pixels, content: bytes, seeds: Latents) -> tuple[Pixels, Metric]:
    """What the graph draws from ``seeds``, and the share of pixels that are not as expected.

    Raises ExportError past one grey level, or one pixel in a thousand.
    """
    drawn = run_graph(content, seeds)
    if drawn.shape != expected.shape:
        raise ExportError(f"the graph draws {drawn.shape}, the generator {expected.shape}")
    difference = np.abs(drawn.astype(np.int16) - expected)
    share = float((difference > 0).mean())
    if difference.max() > 1 or share > _PARITY_SHARE:
        raise ExportError(
            f"the graph does not draw what the generator draws: {share:.2%} of the pixels differ, "
            f"by up to {difference.max()} grey levels"
        )
    protocol = (
        f"share of pixels that differ from the generator's before it was exported, by one grey "
        f"level at most, over {len(seeds)} seeds (onnxruntime, CPU provider)"
    )
    return drawn, Metric(value=share, protocol=protocol)


def _libraries() -> list[Any]:
    return [torch, onnx, onnxruntime(), np]


def publish(made: Card, graphs: dict[str, bytes], samples: Pixels, place: Path) -> None:
    """Let the version's folder appear at ``place``, whole or not at all.

    It is written beside its place, under a name that the server passes over, read back with the
    server's own checks, and renamed.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=place.parent) as beside:
        staging = Path(beside) / made.name / str(made.version)
        staging.mkdir(parents=True)
        card.write(made, staging)
        for file, content in graphs.items():
            (staging / file).write_bytes(content)
        sheet = sheets.sheet(samples, sheets.square_columns(len(samples)))
        (staging / card.SAMPLES_FILE).write_bytes(png.encode(sheet))
        for variant in card.read(staging).variants:
            card.load_graph(staging, variant)
        for path in staging.iterdir():
            atomic_files.sync(path)
        staging.rename(place)
    atomic_files.sync(place.parent)
