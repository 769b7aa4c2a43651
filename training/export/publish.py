"""``export``: a run's generator becomes a version that the server can load."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from app import card, images, latents
from app.card import Card, DataSet, Image, Latent, Metric, Training, Variant
from app.images import Pixels
from training import files
from training.checkpoint import load
from training.config import PLACEMENT, Config, Which
from training.errors import ExportError
from training.export.graph import OPSET, graph
from training.export.pixels import to_pixels
from training.journal import Run
from training.loop import Trainer
from training.metrics import evaluation

GRAPH = "generator.onnx"
SHEET_IMAGES = 64

_PARITY_SEEDS = 1024
_PARITY_SHARE = 0.001


def export(
    run: Path, name: str, version: int, models: Path, checkpoint: Which | None = None
) -> Path:
    """Publish the averaged generator of the run folder ``run``; returns the version's folder.

    Without ``checkpoint``, it is that of the best where there is one, else of the last.
    Raises ExportError for a name or version that cannot be used or is taken, and for a graph that
    does not draw what PyTorch draws.
    """
    place = _free(models, name, version)
    journal = Run(run)
    config, data = journal.config(), journal.data()
    trainer = Trainer(config, data.shape, torch.device("cpu"))
    trainer.load_state_dict(load(journal.chosen(checkpoint)))
    generator = trainer.finished_generator()
    image_shape = (data.height, data.width, data.channels)
    content = graph(generator, config.latent_dim, image_shape, card.metadata(name, version))
    seeds = latents.from_seeds(range(_PARITY_SEEDS), config.latent_dim, config.prior)
    pixels, parity = compare(generator, content, seeds)
    made = Card(
        name=name,
        version=version,
        created=datetime.now(UTC).replace(microsecond=0),
        latent=Latent(width=config.latent_dim, prior=config.prior),
        image=Image(height=data.height, width=data.width, channels=data.channels),
        opset=OPSET,
        variants=[Variant(file=GRAPH, sha256=card.digest(content))],
        dataset=DataSet(name=data.name, licence=data.licence, images=data.images),
        training=_training(journal, config, trainer.step),
        metrics={"parity": parity, **_evaluated(journal, trainer.step)},
        libraries={library.__name__: library.__version__ for library in _libraries()},
    )
    publish(made, {GRAPH: content}, pixels[:SHEET_IMAGES], place)
    return place


def _free(models: Path, name: str, version: int) -> Path:
    try:
        TypeAdapter(card.ModelName).validate_python(name)
        TypeAdapter(card.ModelVersion).validate_python(version)
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
    found = evaluation.read(journal.evaluation)
    if found is None:
        return {}
    if found.step != step:
        print(f"{journal.evaluation}: left out, as it is of step {found.step}, not of {step}")
        return {}
    return {name: measure.metric() for name, measure in found.metrics.items()}


def compare(generator: nn.Module, content: bytes, seeds: latents.Latents) -> tuple[Pixels, Metric]:
    """What the graph draws from ``seeds``, and the share of pixels where PyTorch differs.

    Raises ExportError past one grey level, or one pixel in a thousand.
    """
    drawn = run_graph(content, seeds)
    expected = to_pixels(generator, torch.from_numpy(seeds))
    difference = np.abs(drawn.astype(np.int16) - expected)
    share = float((difference > 0).mean())
    if difference.max() > 1 or share > _PARITY_SHARE:
        raise ExportError(
            f"the graph does not draw what PyTorch draws: {share:.2%} of the pixels differ, "
            f"by up to {difference.max()} grey levels"
        )
    protocol = (
        f"share of pixels that differ from PyTorch's, by one grey level at most, "
        f"over {len(seeds)} seeds (onnxruntime, CPU provider)"
    )
    return drawn, Metric(value=share, protocol=protocol)


def run_graph(content: bytes, seeds: latents.Latents) -> Pixels:
    """What onnxruntime's CPU provider draws. Raises ExportError where it is not installed."""
    session = _onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    (pixels,) = session.run([card.OUTPUT], {card.INPUT: seeds})
    drawn: Pixels = pixels
    return drawn


def _onnxruntime() -> Any:  # noqa: ANN401 it carries no types
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError("the parity check needs onnxruntime: pip install '.[cpu]'") from error
    return onnxruntime


def _libraries() -> list[Any]:
    return [torch, onnx, _onnxruntime(), np]


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
        sheet = images.sheet(samples, images.square(len(samples)))
        (staging / card.SHEET).write_bytes(images.png(sheet))
        for variant in card.read(staging).variants:
            card.load(staging, variant)
        for path in staging.iterdir():
            files.sync(path)
        staging.rename(place)
    files.sync(place.parent)
