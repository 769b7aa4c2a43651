"""Adds an encoder to a published version."""

from pathlib import Path

import onnx
from onnx import helper

from app.artifact import atomic_files, card
from app.artifact.card import Encoder
from training.encoder.found import find
from training.encoder.measures import PREFIX
from training.evaluation.records import EncoderRecord


def attach_of_run(run: Path, folder: Path) -> bool:
    """Add the encoder of ``run`` to the version in ``folder``, which was exported from it.

    Returns whether there is one of the checkpoint that was exported. Raises RunError if its files
    do not belong together.
    """
    described = card.read(folder.resolve())
    encoder = find(run, described.training.steps)
    if encoder is None or encoder.record is None:
        return False
    model = onnx.load_from_string(encoder.graph)
    helper.set_model_props(model, described.metadata())
    attach(model.SerializeToString(), encoder.record, folder)
    return True


def attach(graph: bytes, record: EncoderRecord, folder: Path) -> None:
    """Put ``graph`` and its metrics into the version in ``folder``.

    The generator is unchanged. At every moment the card and the files agree: an encoder that the
    version already has leaves the card before its file is replaced.
    """
    folder = folder.resolve()  # a card is checked against the names of its folders
    described = card.read(folder)
    if described.encoder is not None:
        card.write(described.model_copy(update={"encoder": None}), folder)
    atomic_files.write(folder / card.ENCODER_FILE, graph)
    kept = {name: one for name, one in described.metrics.items() if not name.startswith(PREFIX)}
    found = {name: one.for_card() for name, one in record.metrics.items()}
    encoder = Encoder(file=card.ENCODER_FILE, sha256=card.digest(graph), size=len(graph))
    update = {"encoder": encoder, "metrics": kept | found}
    card.write(described.model_copy(update=update), folder)
