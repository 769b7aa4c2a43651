"""Measures an encoder: of its own training, and again for ``evaluate``."""

import time
from pathlib import Path
from typing import Any

from app.artifact import card
from training.encoder import images, measures, subject
from training.encoder.encode import Session, milliseconds
from training.encoder.folder import RECORD_FILE
from training.encoder.found import find
from training.encoder.images import Images
from training.encoder.subject import Subject
from training.evaluation import loaded_model
from training.evaluation.options import EvaluateOptions
from training.evaluation.records import EncoderRecord, FeatureNetwork
from training.loop import device as devices
from training.run.journal import Run

_TIMED_SEEDS = 100


def evaluate(folder: Path, options: EvaluateOptions) -> None:
    """Measure the encoder of the run or the published version in ``folder``, if it has one.

    The results are printed; a run's record of its encoder is written again.
    """
    device = devices.resolve(options.device)
    model = loaded_model.load(folder, device, options.checkpoint)
    encoder = find(folder, model.step)
    if encoder is None:
        return
    found = subject.of_model(model, folder, device)
    real = images.load(found, folder, encoder.options_for(options.data_dir))
    training = encoder.record.training if encoder.record else {}
    record = measure(found, encoder.graph, real.test if real else None, training)
    print(*record.table(), sep="\n")
    if encoder.record:
        path = Run(folder).encoder / RECORD_FILE
        record.write(path)
        print(f"written to {path}")


def measure(
    found: Subject, graph: bytes, test: Images | None, training: dict[str, Any]
) -> EncoderRecord:
    """The record of the encoder ``graph``; ``training`` tells how it was trained."""
    began = time.perf_counter()
    metrics = measures.measure(found, Session(graph), test)
    return EncoderRecord(
        subject=found.model.title,
        step=found.model.step,
        dataset=found.model.dataset,
        feature_network=FeatureNetwork.of(found.spec) if found.spec else None,
        device=devices.describe(found.device, "auto"),
        seconds=round(time.perf_counter() - began, 1),
        sha256=card.digest(graph),
        size=len(graph),
        milliseconds=round(milliseconds(graph, found.model.images(_TIMED_SEEDS)), 3),
        training=training,
        metrics=metrics,
    )
