"""The default version of a model: the one that serves requests without a version.

The file ``<models>/<name>/default`` records its number. Without this file it is the highest.
"""

import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

from app.artifact import atomic_files, card
from app.artifact.card import CardError

FILE: Final = "default"
_MAX_BYTES: Final = 100


def read(model: Path) -> int | None:
    """Return the number that is recorded in the folder ``model``; None if none is.

    Raises CardError if the file is not readable or holds anything else.
    """
    path = model / FILE
    try:
        status = path.stat()
        regular = stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_BYTES
        content = path.read_bytes() if regular else b""
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CardError(f"{path}: cannot be read: {error.strerror}") from error
    if not re.fullmatch(rb"[1-9][0-9]{0,9}\s*", content):
        raise CardError(f"{path}: must be a file that contains the number of a version, such as 2")
    return int(content)


def present(model: Path) -> int | None:
    """Return the default version in the folder ``model``; None if it has no version.

    Raises CardError as ``read`` does.
    """
    versions = card.version_numbers(model)
    return choose(versions, read(model)) if versions else None


def write(model: Path, version: int) -> None:
    """Record ``version`` as the default in the folder ``model``, in one atomic step."""
    atomic_files.write(model / FILE, f"{version}\n".encode())


def choose(versions: Collection[int], recorded: int | None) -> int:
    """Return the default among ``versions``, of which there is at least one.

    It is the recorded version; if that one is missing, the next lower one, which may have been the
    default before, else the lowest. Without a record it is the highest.
    """
    if recorded is None:
        return max(versions)
    return max((number for number in versions if number <= recorded), default=min(versions))
