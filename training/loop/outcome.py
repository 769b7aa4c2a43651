"""What a run says at its end: its checkpoint and the commands that usually follow."""

import re
from collections.abc import Iterator
from pathlib import Path

from app.artifact.card import version_numbers
from app.artifact.version_key import printable
from training.config import FOLDER, Config, feature_file
from training.loop.stop_signals import shell_command
from training.run.journal import SCORE, Run

_MODELS = Path("models")
"""Where ``export`` publishes without ``--models``."""


def lines(run: Run, options: Config) -> Iterator[str]:
    """The end of ``run`` as lines of text; commands are complete, for the shell that began it."""
    yield f"checkpoint: {printable(str(run.chosen_checkpoint(None)))}, {_score(run)}"
    yield "measure it, then publish it:"
    for words in _commands(run, options):
        yield f"  {shell_command(*words)}"


def _score(run: Run) -> str:
    best, epochs = run.best_score(), run.epochs()
    for line in epochs:
        if line.get(SCORE) == best:
            return f"the best, of epoch {line['epoch']}: {SCORE} {best:.3g}"
    return f"the last, of epoch {epochs[-1]['epoch']}, without a score"


def _commands(run: Run, options: Config) -> Iterator[list[str]]:
    files = (run.features, feature_file(options.folder)) if options.folder else ()
    if options.folder and not any(file.exists() for file in files):
        size = ["--image-size", str(options.image_size)] if options.image_size else []
        yield ["features", "--dataset", f"{FOLDER}{options.folder}", *size]
    place = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    yield ["evaluate", str(run.folder), *place]
    name = _model_name(run.folder)
    version = 1 + max(version_numbers(_MODELS / name), default=0)
    yield ["export", str(run.folder), "--name", name, "--version", str(version)]


def _model_name(folder: Path) -> str:
    """The name of the folder as that of a model: a to z, digits and hyphens, at most 64."""
    words = re.findall(r"[a-z0-9]+", folder.resolve().name.lower())
    return "-".join(words)[:64] or "model"
