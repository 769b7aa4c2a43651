"""What a path of the user names: a run, a published version, or neither. Does not import torch."""

from pathlib import Path

from app.artifact import default_version
from app.artifact.card import CARD_FILE, CardError
from training.errors import RunError
from training.run.journal import Run


def is_run(source: Path) -> bool:
    """Whether ``source`` is the folder of a run."""
    return Run(source).options.exists()


def version_in(source: Path) -> Path | None:
    """The folder of the version that ``source`` names: itself, or the default one of a model.

    None if it is neither. Raises CardError if the record of the default version is damaged.
    """
    number = default_version.present(source) if source.is_dir() else None
    folder = source / str(number) if number else source
    return folder.absolute() if (folder / CARD_FILE).exists() else None


def check_weights(source: Path) -> None:
    """Raise RunError unless ``source`` may have weights for ``--init-from``: it reads none."""
    try:
        found = source.is_file() or is_run(source) or version_in(source)
    except CardError as error:
        raise RunError(f"--init-from {error}") from error
    if not found:
        raise RunError(
            f"--init-from {source}: neither a run, nor a published model such as models/digits, "
            "nor the file of a state dict"
        )
