"""Finds the encoder of a run or of a published version."""

from dataclasses import dataclass
from pathlib import Path

from app.artifact import card
from app.artifact.card import CardError
from training.encoder.folder import RECORD_FILE, EncoderFolder
from training.encoder.options import EncoderOptions
from training.errors import RunError
from training.evaluation.records import EncoderRecord
from training.run.journal import Run


@dataclass(frozen=True)
class FoundEncoder:
    """An encoder that has been trained."""

    graph: bytes
    options: EncoderOptions
    """Those of its training; of a published version the defaults."""
    record: EncoderRecord | None
    """The record beside it; a published version has its figures on the card."""

    def options_for(self, data_dir: Path | None) -> EncoderOptions:
        """``options`` with the real images in ``data_dir``, unless that is None."""
        return self.options.model_copy(update={"data_dir": data_dir} if data_dir else {})


def find(folder: Path, step: int | None) -> FoundEncoder | None:
    """The encoder of the version in ``folder``, or of the run there; None if there is none.

    That of a run must belong to its checkpoint of ``step``. Raises RunError if its files are
    missing or do not belong together.
    """
    if step is None:
        return _of_version(folder.resolve())
    path = Run(folder).encoder
    record = EncoderRecord.read_for_step(path / RECORD_FILE, step)
    if record is None:
        return None
    file = path / card.ENCODER_FILE
    try:
        graph = file.read_bytes()
    except OSError as error:
        raise RunError(f"{file}: cannot be read: {error.strerror}") from error
    if (found := card.digest(graph)) != record.sha256:
        raise RunError(f"{file}: has SHA-256 {found}, but its record says {record.sha256}")
    return FoundEncoder(graph, EncoderFolder(path).resumed({}), record)


def _of_version(folder: Path) -> FoundEncoder | None:
    try:
        described = card.read(folder)
        if described.encoder is None:
            return None
        graph = card.load_graph(folder, described.encoder)
    except CardError as error:
        raise RunError(str(error)) from error
    return FoundEncoder(graph, EncoderOptions(), None)
