"""Whether a folder holds all models, and which one the user probably means if it does not."""

import os
from pathlib import Path

from app.artifact.card import CARD_FILE

_CHECKOUT = Path(__file__).parents[2]
"""The folder with this package, which has models in a checkout."""


def misplaced(models: Path) -> str | None:
    """What is wrong if ``models`` is too deep or too high, with the folder to name instead.

    None if it has versions at ``<name>/<version>/``, or no card nearby.
    """
    if has_versions(models):
        return None
    folder = Path(os.path.abspath(models))  # noqa: PTH100 # links stay as the user sees them
    if _is_file(folder) and _is_file(folder.parent / CARD_FILE):
        return _advice(models, "a file of one version", folder.parents[2])
    if _is_file(folder / CARD_FILE):
        return _advice(models, "the folder of one version", folder.parents[1])
    if _first(folder, f"*/{CARD_FILE}"):
        return _advice(models, "the folder of one model", folder.parent)
    if found := _first(folder, f"*/*/*/{CARD_FILE}"):
        return _advice(models, "above the folder of the models", found.parents[2])
    return None


def missing(models: Path) -> str | None:
    """What to name instead if ``models`` does not exist; None if it does, or may do.

    A folder that cannot be accessed may exist. Reading it gives the reason.
    """
    if not _is_absent(models):
        return None
    here = Path.cwd()
    place = "" if models.is_absolute() else f" in {here}"
    candidates = (folder / models for folder in (*here.parents, _CHECKOUT))
    found = next(filter(has_versions, candidates), None)
    remedy = f"write --models {found}" if found else "--models names another folder"
    return f"models is '{models}', which does not exist{place}: {remedy}"


def has_versions(models: Path) -> bool:
    """Whether there is a card at ``<name>/<version>/``."""
    return _first(models, f"*/*/{CARD_FILE}") is not None


def _advice(models: Path, kind: str, meant: Path) -> str:
    here = Path.cwd()
    shown = meant.relative_to(here) if meant.is_relative_to(here) else meant
    return (
        f"models is '{models}', which is {kind}, but must be the folder of all models, "
        f"which has <name>/<version>/{CARD_FILE}: write --models {shown}"
    )


def _is_absent(path: Path) -> bool:
    """Whether there is nothing at ``path``; False if that cannot be seen."""
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _is_file(path: Path) -> bool:
    """Whether there is a file that can be seen."""
    try:
        return path.is_file()
    except OSError:
        return False


def _first(folder: Path, pattern: str) -> Path | None:
    """A file that matches ``pattern``; None if there is none that can be seen."""
    try:
        return next(iter(folder.glob(pattern)), None)
    except OSError:
        return None
