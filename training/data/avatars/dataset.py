"""The drawn faces that ``python -m training avatars`` leaves in a folder: their file's form.

The file is an ``.npz`` of these arrays, n faces of k attributes each:

form         int, the version of this form and of the faces
images       uint8 ``(n, 3, 64, 64)``, RGB
attributes   bool ``(n, k)``: which of them each face has
names        str ``(k,)``: what they are called
licence      str, of the whole
libraries    str, what drew it: ``name version, name version``
seed         int, with which the faces were chosen

Each member of the file has a checksum, which is verified whenever the member is read. The last
fifth of the faces are test faces, which no generator and no network learns.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.images import ImageSet
from training.errors import DataError

NAME = "avatars"
PLACE = Path("data/avatars")
"""Where the faces are if nothing else is said."""
FILE, SHEET = "avatars.npz", "avatars.png"
FORM = 1
"""One more with every change of the file, or of what a seed and a number look like."""
SIZE = 64
"""Height and width of a face, in pixels."""

LICENCE = (
    "Avataaars by Pablo Stanley, free for personal and commercial use; composed by python-avatars "
    "(MIT, Ibon), rendered by resvg-py (MIT, baseplate-admin)"
)


@dataclass(frozen=True)
class Avatars:
    """The faces of one file."""

    images: NDArray[np.uint8]
    """RGB ``(n, 3, SIZE, SIZE)``."""
    attributes: dict[str, NDArray[np.bool_]]
    """By name, which faces have it: ``(n,)``."""
    licence: str

    @property
    def training(self) -> "Avatars":
        """The faces to learn: all but the last fifth."""
        return self._part(slice(self._learned))

    @property
    def test(self) -> "Avatars":
        """The last fifth of the faces."""
        return self._part(slice(self._learned, None))

    @property
    def _learned(self) -> int:
        return len(self.images) - len(self.images) // 5

    def _part(self, chosen: slice) -> "Avatars":
        attributes = {name: column[chosen] for name, column in self.attributes.items()}
        return Avatars(self.images[chosen], attributes, self.licence)


def load(folder: Path | None) -> ImageSet:
    """The training faces in ``folder``, or in ``PLACE``. Raises what ``read`` does."""
    found = read(folder or PLACE).training
    return ImageSet(NAME, found.licence, found.images)


def read(folder: Path) -> Avatars:
    """The faces in ``folder``.

    Raises DataError where there are none, where the file is damaged, or of another version.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataError(
            f"{path}: is not there; `python -m training avatars --out {folder}` draws the faces, "
            "--data-dir names another folder that has them"
        )
    try:
        # Opened here, as NumPy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            # The form first: what another one holds is unknown.
            form = int(members["form"]) if "form" in members.files else None
            if form == FORM:
                return _checked(path, {name: members[name] for name in members.files})
    except DataError:
        raise
    except Exception as error:  # a damaged file may raise anything in zipfile, zlib and NumPy
        raise DataError(f"{path}: cannot be read: {error or type(error).__name__}") from error
    raise DataError(
        f"{path}: was made by another version of this program (its form is {form}, this version "
        f"reads {FORM}); draw the faces anew"
    )


def write(path: Path, faces: Avatars, seed: int, libraries: dict[str, str]) -> None:
    """Write ``faces`` to ``path``, the same bytes for the same faces."""
    np.savez_compressed(
        path,
        form=FORM,
        images=faces.images,
        attributes=np.stack(list(faces.attributes.values()), axis=1),
        names=list(faces.attributes),
        licence=faces.licence,
        libraries=", ".join(f"{name} {version}" for name, version in libraries.items()),
        seed=seed,
    )


def _checked(path: Path, members: dict[str, NDArray[Any]]) -> Avatars:
    images, table, names = (members[name] for name in ("images", "attributes", "names"))
    count = len(images)
    whole = (
        images.shape == (count, 3, SIZE, SIZE)
        and table.shape == (count, len(names))
        and (images.dtype, table.dtype, names.ndim) == (np.dtype(np.uint8), np.dtype(bool), 1)
    )
    if not whole:
        raise DataError(
            f"{path}: has images of shape {images.shape} and type {images.dtype}, attributes of "
            f"shape {table.shape} and type {table.dtype} and {names.size} names for them"
        )
    attributes = {str(name): column for name, column in zip(names, table.T, strict=True)}
    return Avatars(images, attributes, str(members["licence"]))
