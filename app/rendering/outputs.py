"""Outputs of rendered images: a folder of PNG files, or one ``.npz`` file.

Both hold a manifest that describes their images. Every write is atomic, so that a run that was
interrupted or killed can be resumed: only the images that are still missing are generated.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib import format as npy
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.artifact import atomic_files
from app.imaging import png
from app.imaging.png import Text
from app.imaging.sheets import Pixels
from app.latent.sampling import SEEDS, consecutive

MANIFEST = "manifest.json"
CHUNK = 64
"""Images generated in one batch."""


class OutputError(Exception):
    """An output path that cannot hold these images; the message names it and the reason."""


class Manifest(BaseModel):
    """Which images an output holds, and what generated them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    version: int
    digest: str
    """SHA-256 of the model file, in hexadecimal."""
    provider: str
    precision: str
    seed: int
    """The first image's seed; image ``k`` has the seed ``seed + k`` modulo 2³²."""
    count: int
    class_: str = Field("", alias="class")
    """The classes of the images, in turn; empty if they follow the seeds."""
    attributes: str = ""
    """The attributes of all images; those that it does not name follow the seeds."""
    edit: str
    truncation: float
    scale: int
    height: int
    width: int
    channels: int

    def image(self, seed: int) -> int:
        """The number of the image of ``seed``."""
        return (seed - self.seed) % SEEDS

    def chunks(self) -> Iterator[list[int]]:
        """Yield all seeds in order, in lists of at most CHUNK."""
        for start in range(0, self.count, CHUNK):
            yield consecutive(self.seed + start, min(CHUNK, self.count - start))

    def check_matches(self, text: str | bytes, path: Path) -> None:
        """Raise OutputError unless ``text``, the manifest found at ``path``, equals this one."""
        try:
            found = Manifest.model_validate_json(text).model_dump(by_alias=True)
        except ValidationError as error:
            raise OutputError(f"{path}: not a manifest of rendered images") from error
        differences = [
            f"{name} {found[name]!r}, not {value!r}"
            for name, value in self.model_dump(by_alias=True).items()
            if found[name] != value
        ]
        if differences:
            listed = ", ".join(differences)
            raise OutputError(f"{path}: holds other images: {listed}; choose another --out")

    def encoded(self) -> bytes:
        """Return the content of the manifest file: JSON in UTF-8."""
        content = self.model_dump_json(indent=2, by_alias=True, exclude_defaults=True)
        return content.encode() + b"\n"


class Output(Protocol):
    """What stores images; several threads may call ``write`` at once."""

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Return the seeds of a chunk whose images are not stored yet."""

    def write(self, seeds: Sequence[int], pixels: Pixels) -> None:
        """Store the images of ``seeds``, uint8 ``(len(seeds), height, width, channels)``."""

    def finish(self) -> None:
        """Complete the output, once no image is missing."""


def open_output(out: Path, manifest: Manifest, text: Callable[[int], Text]) -> Output:
    """Create the output ``out``, or open it to resume an earlier run.

    ``text`` returns the metadata that the PNG file of a seed carries.
    Raises OutputError if ``out`` holds anything else.
    """
    if out.suffix == ".npz":
        return NpzArchive(out, manifest)
    return PngFolder(out, manifest, text)


class PngFolder:
    """A folder with the manifest and one file ``<seed>.png`` for every image."""

    def __init__(self, folder: Path, manifest: Manifest, text: Callable[[int], Text]) -> None:
        """Create or open ``folder``. Raises OutputError if it holds anything else."""
        self._folder, self._text = folder, text
        _write_or_check_manifest(folder, manifest)

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Return the seeds whose file does not exist or is incomplete, as after a power failure."""
        return [seed for seed in seeds if not _is_complete(self._path(seed))]

    def write(self, seeds: Sequence[int], pixels: Pixels) -> None:
        """Encode and write every image."""
        encoded = png.encode_all(pixels, [self._text(seed) for seed in seeds])
        for seed, content in zip(seeds, encoded, strict=True):
            atomic_files.write_unsynced(self._path(seed), content)

    def finish(self) -> None:
        """Wait until the names of all files are on the disk."""
        atomic_files.sync(self._folder)

    def _path(self, seed: int) -> Path:
        return self._folder / f"{seed}.png"


class NpzArchive:
    """A file for ``numpy.load`` with the arrays ``pixels``, ``seeds`` and ``manifest``.

    ``pixels`` is uint8 ``(n, height, width, channels)``, ``seeds`` uint32 ``(n,)``, and
    ``manifest`` the JSON text. Until the file is complete, the folder ``<name>.part`` beside it
    holds one file for every chunk.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Create or open the archive. Raises OutputError if ``path`` holds anything else."""
        self._path, self._manifest, self._chunks = path, manifest, atomic_files.partial_path(path)
        self._done = path.exists()
        if self._done:
            manifest.check_matches(_manifest_text(path), path)
        else:
            _write_or_check_manifest(self._chunks, manifest)

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Return all of ``seeds`` or none: a chunk is stored as a whole."""
        chunk = self._chunk_path(seeds)
        return [] if self._done or chunk.exists() else [*seeds]

    def write(self, seeds: Sequence[int], pixels: Pixels) -> None:
        """Store the pixels of a chunk."""
        atomic_files.write(self._chunk_path(seeds), pixels.tobytes())

    def finish(self) -> None:
        """Join all chunks into the archive, then delete them."""
        if not self._done:
            unfinished = atomic_files.partial_path(self._chunks / self._path.name)
            self._write_archive(unfinished)
            atomic_files.sync(unfinished)
            unfinished.replace(self._path)
            atomic_files.sync(self._path.parent)
        shutil.rmtree(self._chunks, ignore_errors=True)

    def _write_archive(self, path: Path) -> None:
        """Write all chunks into one file, with only one of them in memory at a time."""
        manifest = self._manifest
        shape = (manifest.count, manifest.height, manifest.width, manifest.channels)
        # The format of numpy.savez, with its constant date of 1980: equal images give equal files.
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("pixels.npy", "w", force_zip64=True) as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(member, header)
                for chunk in manifest.chunks():
                    member.write(self._chunk_path(chunk).read_bytes())
            seeds = np.arange(manifest.seed, manifest.seed + manifest.count, dtype=np.uint64)
            with archive.open("seeds.npy", "w", force_zip64=True) as member:
                npy.write_array(member, seeds.astype(np.uint32))  # modulo 2**32
            with archive.open("manifest.npy", "w") as member:
                npy.write_array(member, np.array(manifest.encoded().decode()))

    def _chunk_path(self, seeds: Sequence[int]) -> Path:
        return self._chunks / f"{seeds[0]}.raw"


def _write_or_check_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into an empty folder, or check the one that is there.

    Raises OutputError if ``folder`` holds other images or other files.
    """
    path = folder / MANIFEST
    if path.exists():
        manifest.check_matches(path.read_bytes(), path)
        return
    if folder.exists() and any(
        found != atomic_files.partial_path(path) for found in folder.iterdir()
    ):
        raise OutputError(f"{folder}: holds other files, but no {MANIFEST}; choose another --out")
    atomic_files.write(path, manifest.encoded())


def _is_complete(path: Path) -> bool:
    """Return whether a PNG file exists and ends with its last chunk, IEND."""
    try:
        with path.open("rb") as file:
            file.seek(-len(png.IEND), os.SEEK_END)
            return file.read() == png.IEND
    except OSError:  # it does not exist, or is shorter than the chunk
        return False


def _manifest_text(path: Path) -> str:
    """Return the manifest in an archive. Raises OutputError if ``path`` is no such archive."""
    try:
        with np.load(path) as archive:
            return str(archive["manifest"])
    except Exception as error:  # zipfile, zlib and NumPy raise any kind of error for other files
        raise OutputError(
            f"{path}: not an archive of rendered images; choose another --out"
        ) from error
