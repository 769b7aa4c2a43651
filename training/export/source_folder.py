"""Which published version a path of the user names."""

from pathlib import Path

from app.artifact import default_version
from app.artifact.card import CARD_FILE


def version_in(source: Path) -> Path | None:
    """The folder of the version that ``source`` names: itself, or the default one of a model.

    None if it is neither. Raises CardError if the record of the default version is damaged.
    """
    number = default_version.present(source) if source.is_dir() else None
    folder = source / str(number) if number else source
    return folder.absolute() if (folder / CARD_FILE).exists() else None
