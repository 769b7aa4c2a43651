"""What a run says at its end: its checkpoint and the commands that usually follow."""

from collections.abc import Iterator

from app.artifact.version_key import printable
from training.config import FOLDER, Config, feature_file
from training.data.held_out import LEAST_OF_FEATURES
from training.loop.commands import export_command, shell_command
from training.run.journal import SCORE, Run


def lines(run: Run, options: Config, images: int) -> Iterator[str]:
    """The end of ``run``, which trained on ``images`` images, as lines of text.

    The commands are complete, for the shell that began it.
    """
    yield f"checkpoint: {printable(str(run.chosen_checkpoint(None)))}, {_score(run)}"
    measuring = [*_measuring(run, options, images)]
    yield "measure it, then publish it:" if measuring else "publish it:"
    for command in (*measuring, export_command(run.folder)):
        yield f"  {command}"


def _score(run: Run) -> str:
    best, epochs = run.best_score(), run.epochs()
    for line in epochs:
        if line.get(SCORE) == best:
            return f"the best, of epoch {line['epoch']}: {SCORE} {best:.3g}"
    return f"the last, of epoch {epochs[-1]['epoch']}, without a score"


def _measuring(run: Run, options: Config, images: int) -> Iterator[str]:
    """The commands that measure ``run``; none for a folder with too few images to measure with."""
    files = (run.features, feature_file(options.folder)) if options.folder else ()
    if options.folder and not any(file.exists() for file in files):
        if images < LEAST_OF_FEATURES:
            return
        size = ["--image-size", str(options.image_size)] if options.image_size else []
        yield shell_command("features", "--dataset", f"{FOLDER}{options.folder}", *size)
    place = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    yield shell_command("evaluate", str(run.folder), *place)
