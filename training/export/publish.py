"""``export``: publishes a run's generator as a version that the server can load."""

import shlex
import tempfile
from collections.abc import Callable, Iterable, Sequence
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
from app.artifact.card import (
    Attributes,
    Card,
    CardError,
    DataSet,
    Directions,
    Image,
    ImageClass,
    Latent,
    Metric,
    Training,
    Variant,
    sampler_of,
)
from app.imaging import png, sheets
from app.imaging.sheets import Pixels
from app.latent.conditions import Sampler
from app.latent.sampling import Latents
from training.config import CheckpointChoice, Config
from training.errors import ExportError
from training.evaluation import edit_directions
from training.evaluation.progress import print_progress, stages
from training.evaluation.records import EvaluationRecord
from training.export import average_check, parity
from training.export.cpu_session import require_onnxruntime, run_graph
from training.export.default_choice import DefaultChoice
from training.export.graph import OPSET, build_graph
from training.gan.conditional import SHEET_COLUMNS, rows_of, sheet_rows
from training.gan.gan import Gan
from training.gan.pixels import to_pixels
from training.loop import checkpoint
from training.run.journal import Run

GRAPH_FILE = "generator.onnx"
PARITY_SEEDS = 1024
"""Number of seeds on which the graph is compared with the original generator."""


@dataclass(frozen=True)
class Provenance:
    """Origin and quality of a generator, for its card."""

    dataset: DataSet
    training: Training
    metrics: dict[str, Metric]
    directions: Directions | None = None
    classes: list[ImageClass] | None = None
    attributes: Attributes | None = None

    @property
    def sampler(self) -> Sampler | None:
        """Gives seeds their classes or attributes; None for an unconditional generator."""
        return sampler_of(self.classes, self.attributes)


@dataclass(frozen=True)
class Source:
    """A generator to publish."""

    latent: Latent
    image: Image
    provenance: Provenance
    opset: int
    graph: Callable[[dict[str, str]], bytes]
    """Returns its ONNX graph with the given metadata."""
    draw: Callable[[Latents], Pixels]
    """Draws the pixels that the graph must draw, without the graph, from ``conditional.Rows``."""
    notes: Sequence[str] = ()
    """What was assumed about a foreign generator and how it was verified; warnings about a run."""


def export(  # noqa: PLR0913 the arguments of the command
    run: Path,
    name: str,
    version: int,
    models: Path,
    checkpoint: CheckpointChoice | None = None,
    *,
    default: bool = False,
) -> Path:
    """Publish the averaged generator of the folder ``run``; returns the folder of the version.

    Without ``checkpoint`` it uses the best one if there is one, else the last. ``default`` is as in
    ``publish``. Raises ExportError as ``new_version_folder`` and ``publish`` do, RunError for a run
    that cannot be read.
    """
    folder = new_version_folder(models, name, version)
    source = source_of_run(Run(run), checkpoint)
    publish(source, folder, default=default)
    return folder


def source_of_run(run: Run, choice: CheckpointChoice | None) -> Source:
    """The averaged generator of ``run``. Raises RunError for a run that cannot be read."""
    config, data = run.config(), run.data()
    gan = Gan(config, data.shape, torch.device("cpu"), sampler=data.sampler)
    gan.load_state_dict(checkpoint.load(run.chosen_checkpoint(choice)))
    print_progress("averaging the generator")
    averaged, latent = gan.averaged_generator(), Latent(width=config.latent_dim, prior=config.prior)
    rows = sheet_rows(latent, data.sampler)
    return source_of_network(
        averaged,
        latent,
        Image(height=data.height, width=data.width, channels=data.channels),
        Provenance(
            DataSet(name=data.name, licence=data.licence, images=data.images),
            _training(run, config, gan.step),
            _metrics(run, gan.step),
            edit_directions.of_run(run, gan.step),
            data.classes,
            data.attributes,
        ),
        [*average_check.warnings(averaged, gan.generator.eval(), rows)],
    )


def source_of_network(
    generator: nn.Module,
    latent: Latent,
    image: Image,
    provenance: Provenance,
    notes: Sequence[str] = (),
) -> Source:
    """A PyTorch generator in eval mode, from ``conditional.Rows`` to images in [-1, 1]."""
    shape = (image.height, image.width, image.channels)
    conditions = len(provenance.sampler.names) if provenance.sampler else 0
    return Source(
        latent=latent,
        image=image,
        provenance=provenance,
        opset=OPSET,
        graph=lambda metadata: build_graph(generator, latent.width, shape, metadata, conditions),
        draw=lambda z: to_pixels(generator, torch.from_numpy(z)),
        notes=notes,
    )


def new_version_folder(models: Path, name: str, version: int | None = None) -> Path:
    """The folder for a new version, which does not exist yet; without ``version``, the next one.

    Raises ExportError if the name or the version is invalid, or if the version exists.
    """
    if not _is_valid(name, TypeAdapter(card.ModelName)):
        allowed = "1 to 64 lower-case letters, digits and hyphens, no hyphen first"
        raise ExportError(f"--name {shlex.quote(name)}: must be {allowed}")
    if version is None:
        version = 1 + max(card.version_numbers(models / name), default=0)
    if not _is_valid(version, TypeAdapter(card.VersionNumber)):
        raise ExportError(f"--version {version}: must be from 1 to {card.MAX_VERSION}")
    folder = models / name / str(version)
    if folder.exists():
        raise ExportError(f"{folder}: already exists; a published version never changes")
    return folder


def _is_valid(value: object, kind: TypeAdapter[Any]) -> bool:
    """Whether ``value`` is of this ``kind``."""
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


def publish(source: Source, folder: Path, *, default: bool = False) -> None:
    """Publish ``source`` in ``folder``, which ``new_version_folder`` returned.

    It becomes the default version of its model if its score is at least as good as that of the
    present default, or with ``default``. The notes of ``source`` and what was decided are printed.

    Raises ExportError if its graph does not draw what ``source.draw`` draws, and if all of its
    images are the same.
    """
    for note in source.notes:
        print(note, flush=True)
    name, version = folder.parent.name, int(folder.name)
    graph, share, sheet = _checked_graph(source, card.metadata(name, version))
    model_card = Card(
        name=name,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        latent=source.latent,
        image=source.image,
        opset=source.opset,
        variants=[Variant(file=GRAPH_FILE, sha256=card.digest(graph))],
        dataset=source.provenance.dataset,
        training=source.provenance.training,
        metrics={"parity": share, **source.provenance.metrics},
        classes=source.provenance.classes,
        attributes=source.provenance.attributes,
        directions=source.provenance.directions,
        libraries={library.__name__: library.__version__ for library in _libraries()},
    )
    choice = DefaultChoice.of(folder.parent, model_card, requested=default)
    choice.hold()
    write_version(model_card, {GRAPH_FILE: graph}, sheet, folder)
    choice.carry_out()
    for line in choice.lines():
        print(line)


def check_can_add(folder: Path, names: Iterable[str] = ()) -> None:
    """Raise ExportError unless the directions ``names`` may be added to the version ``folder``."""
    if not (folder / card.CARD_FILE).exists():
        raise ExportError(
            f"{folder}: has no {card.CARD_FILE}, so it is no published version, which --publish is "
            "for; the directions of a run are published by export"
        )
    there = _card_in(folder).editable
    if repeated := [name for name in names if name in there]:
        raise ExportError(
            f"{folder}: has the direction {repeated[0]} already, and a published one never changes"
        )


def add_directions(found: Directions, folder: Path) -> None:
    """Add the directions ``found`` to the card of the published version in ``folder``.

    Raises ExportError as ``check_can_add``.
    """
    check_can_add(folder, found.attributes)
    described = _card_in(folder)
    joined = edit_directions.joined([described.directions, found])
    card.write(described.model_copy(update={"directions": joined}), folder)


def _card_in(folder: Path) -> Card:
    try:
        return card.read(folder.resolve())  # it is checked against the names of its folders
    except CardError as error:
        raise ExportError(str(error)) from error


def _checked_graph(source: Source, metadata: dict[str, str]) -> tuple[bytes, Metric, Pixels]:
    """The graph of ``source``, its parity and its sheet of samples. Raises ExportError."""
    sampler = source.provenance.sampler
    conditions = len(sampler.names) if sampler else 0
    with stages(("writing the graph", "comparing its images", "drawing samples")) as begin:
        begin()
        graph = source.graph(metadata)
        begin()
        rows = rows_of(range(PARITY_SEEDS), source.latent, sampler)
        pixels, share = parity.check(source.draw(rows), graph, rows, conditions)
        if (pixels == pixels[0]).all():
            raise ExportError("draws the same image for every latent, so it has learned nothing")
        begin()
        return graph, share, run_graph(graph, sheet_rows(source.latent, sampler), conditions)


def _training(run: Run, config: Config, steps: int) -> Training:
    epochs = [line for line in run.epochs() if line["step"] <= steps]
    return Training(
        options=run.public_options(config),
        epochs=epochs[-1]["epoch"] if epochs else 0,
        steps=steps,
        seconds=round(sum(line["seconds"] for line in epochs), 1),
        device=epochs[-1]["device"] if epochs else "none",
    )


def _metrics(run: Run, step: int) -> dict[str, Metric]:
    """The metrics of the run's evaluation, if it is of the checkpoint of ``step``."""
    found = EvaluationRecord.read_for_step(run.evaluation, step)
    return {name: metric.for_card() for name, metric in found.metrics.items()} if found else {}


def _libraries() -> list[Any]:
    return [torch, onnx, require_onnxruntime(), np]


def write_version(
    model_card: Card, graphs: dict[str, bytes], samples: Pixels, folder: Path
) -> None:
    """Write a version's files; ``folder`` appears only once it is complete and verified.

    The files are written beside it, under a name that the server ignores, read back with the
    server's own checks, and then renamed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as beside:
        staging = Path(beside) / model_card.name / str(model_card.version)
        staging.mkdir(parents=True)
        card.write(model_card, staging)
        for file, graph in graphs.items():
            (staging / file).write_bytes(graph)
        sheet = sheets.sheet(samples, SHEET_COLUMNS)
        (staging / card.SAMPLES_FILE).write_bytes(png.encode(sheet))
        for variant in card.read(staging).variants:
            card.load_graph(staging, variant)
        for path in staging.iterdir():
            atomic_files.sync(path)
        staging.rename(folder)
    atomic_files.sync(folder.parent)
