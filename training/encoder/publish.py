"""Adds an encoder to a published version."""

from pathlib import Path

from app.artifact import atomic_files, card
from app.artifact.card import Encoder
from training.encoder.measures import PREFIX
from training.evaluation.records import EncoderRecord


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
