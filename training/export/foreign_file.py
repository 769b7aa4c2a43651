"""What a file is that should hold a generator but does not, recognised by its first bytes."""

from pathlib import Path

from training.errors import ExportError

_HEAD = 512
"""Bytes that are read."""
_IMPOSTORS = {
    b"version https://git-lfs": "is a pointer of Git LFS instead of the file; run: git lfs pull",
    b"<!doctype": "is a web page instead of the file; download it again",
    b"<html": "is a web page instead of the file; download it again",
    b"\x89hdf": "is an HDF5 file, as Keras writes it; convert the model to ONNX and use adopt",
}


def head(path: Path) -> bytes:
    """The first bytes of ``path``.

    Raises ExportError if it cannot be read, is empty, or is one of the files that people get in
    place of a model.
    """
    try:
        with path.open("rb") as file:
            found = file.read(_HEAD)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
    if not found:
        raise ExportError(f"{path}: is empty")
    for beginning, meaning in _IMPOSTORS.items():
        if found.lstrip().lower().startswith(beginning):
            raise ExportError(f"{path}: {meaning}")
    return found
