"""Reads and writes the data set of drawn faces that ``python -m training avatars`` makes.

It is an ``.npz`` file with these arrays, for n faces with k attributes:

form         int, version of this file format and of the faces
images       uint8 ``(n, 3, 64, 64)``, RGB
attributes   bool ``(n, k)``: the attributes of each face
names        str ``(k,)``: the names of the attributes
licence      str, licence of the images
libraries    str, the libraries that drew them: ``name version, name version``
seed         int, from which the faces were sampled

Each array has a checksum, which is verified whenever the array is read. The last fifth of the faces
are test faces: no generator and no feature network is trained on them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.images import ImageSet
from training.data.labels import ImageLabels
from training.errors import DataError

NAME = "avatars"
DEFAULT_FOLDER = Path("data/avatars")
"""Folder of the faces unless another one is given."""
FILE, SHEET = "avatars.npz", "avatars.png"
FORMAT = 1
"""Incremented when the file format changes, or the face that a seed and a number give."""
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
    """For each attribute's name, which faces have it: ``(n,)``."""
    licence: str

    @property
    def training(self) -> "Avatars":
        """The training faces: all but the last fifth."""
        return self._slice(slice(self._training_count))

    @property
    def test(self) -> "Avatars":
        """The test faces: the last fifth."""
        return self._slice(slice(self._training_count, None))

    @property
    def _training_count(self) -> int:
        return len(self.images) - len(self.images) // 5

    @property
    def labels(self) -> ImageLabels:
        """The attributes as labels."""
        table = np.stack(list(self.attributes.values()), axis=1)
        return ImageLabels(tuple(self.attributes), exclusive=False, values=table.astype(np.uint8))

    def _slice(self, rows: slice) -> "Avatars":
        attributes = {name: column[rows] for name, column in self.attributes.items()}
        return Avatars(self.images[rows], attributes, self.licence)


def load(folder: Path | None) -> ImageSet:
    """The training faces in ``folder``, or in ``DEFAULT_FOLDER``, and their attributes.

    Raises DataError as ``read`` does.
    """
    found = read(folder or DEFAULT_FOLDER).training
    return ImageSet(NAME, found.licence, found.images, found.labels)


def read(folder: Path) -> Avatars:
    """The faces in ``folder``.

    Raises DataError if the file is missing, damaged, or of another version.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataError(
            f"{path}: no such file; make it with `python -m training avatars --out {folder}`, "
            "or name another folder with --data-dir"
        )
    try:
        # Opened here because NumPy leaves the file open if it is not an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
            # Check the version first: a file of another version may hold any other arrays.
            found = int(members["form"]) if "form" in members.files else None
            if found == FORMAT:
                return _checked(path, {name: members[name] for name in members.files})
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise any kind of error for damaged files
        raise DataError(f"{path}: cannot be read: {error or type(error).__name__}") from error
    raise DataError(
        f"{path}: made by another version of this program (file format {found}, but this version "
        f"reads {FORMAT}); generate the faces again"
    )


def write(path: Path, faces: Avatars, seed: int, libraries: dict[str, str]) -> None:
    """Write ``faces`` to ``path``. Equal arguments give equal bytes."""
    np.savez_compressed(
        path,
        form=FORMAT,
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
    consistent = (
        images.shape == (count, 3, SIZE, SIZE)
        and table.shape == (count, len(names))
        and (images.dtype, table.dtype, names.ndim) == (np.dtype(np.uint8), np.dtype(bool), 1)
    )
    if not consistent:
        raise DataError(
            f"{path}: the arrays do not fit together: images {images.dtype} {images.shape}, "
            f"attributes {table.dtype} {table.shape}, {names.size} attribute names"
        )
    attributes = {str(name): column for name, column in zip(names, table.T, strict=True)}
    return Avatars(images, attributes, str(members["licence"]))
