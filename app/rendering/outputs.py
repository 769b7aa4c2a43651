"""Where rendered images go: a folder of PNG files, or one ``.npz`` file.

Both tell in a manifest what they hold. What was written stays: opened again, an output lacks only
what it lacked when its process ended, however that ended.
"""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.lib import format as npy
from pydantic import BaseModel, ConfigDict, ValidationError

from app.artifact import atomic_files
from app.imaging import png
from app.imaging.png import Text
from app.imaging.sheets import Pixels
from app.latent.sampling import consecutive

MANIFEST = "manifest.json"
CHUNK = 64
"""Images that are drawn at once."""


class OutputError(Exception):
    """A place that cannot take these images; the text names it and says why."""


class Manifest(BaseModel):
    """What images are there, and who drew them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    version: int
    digest: str
    """SHA-256 of the graph, in hexadecimal."""
    provider: str
    precision: str
    seed: int
    """Of the first image; that of image ``k`` is ``seed + k`` modulo 2³²."""
    count: int
    edit: str
    truncation: float
    scale: int
    height: int
    width: int
    channels: int

    def chunks(self) -> Iterator[list[int]]:
        """All seeds in their order, CHUNK at a time."""
        for start in range(0, self.count, CHUNK):
            yield consecutive(self.seed + start, min(CHUNK, self.count - start))

    def check(self, told: str | bytes, place: Path) -> None:
        """Raise OutputError where ``place`` was ``told`` to hold other images."""
        try:
            there = Manifest.model_validate_json(told)
        except ValidationError as error:
            raise OutputError(f"{place}: is no manifest of rendered images") from error
        known = there.model_dump()
        wrong = {name: value for name, value in self.model_dump().items() if value != known[name]}
        words = ", ".join(f"{name} {known[name]!r}, not {value!r}" for name, value in wrong.items())
        if wrong:
            raise OutputError(f"{place}: is of other images: {words}; give another --out")

    def encoded(self) -> bytes:
        """The same as a file."""
        return self.model_dump_json(indent=2).encode() + b"\n"


class Output(Protocol):
    """Where images go; ``put`` may be called by several threads at once."""

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Which images of a chunk of the manifest are not there yet."""

    def put(self, seeds: Sequence[int], pixels: Pixels) -> None:
        """Keep those, ``(len(seeds), h, w, channels)``."""

    def finish(self) -> None:
        """Called once nothing is missing."""


def opened(out: Path, manifest: Manifest, text: Callable[[int], Text]) -> Output:
    """The place ``out``, as far as it was filled before. ``text`` is what a PNG says of a seed.

    Raises OutputError where something else is there.
    """
    if out.suffix == ".npz":
        return Archive(out, manifest)
    return Folder(out, manifest, text)


class Folder:
    """A folder with a file ``<seed>.png`` for every image, and the manifest."""

    def __init__(self, folder: Path, manifest: Manifest, text: Callable[[int], Text]) -> None:
        """``text`` is what the file of a seed says of itself. Raises OutputError."""
        self._folder, self._text = folder, text
        _claim(folder, manifest)

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Those whose file is not there, or was cut short with the power."""
        return [seed for seed in seeds if not _whole(self._path(seed))]

    def put(self, seeds: Sequence[int], pixels: Pixels) -> None:
        """Encode and write each."""
        encoded = png.encode_all(pixels, [self._text(seed) for seed in seeds])
        for seed, content in zip(seeds, encoded, strict=True):
            atomic_files.write_unsynced(self._path(seed), content)

    def finish(self) -> None:
        """Wait until the files' names are on the disk."""
        atomic_files.sync(self._folder)

    def _path(self, seed: int) -> Path:
        return self._folder / f"{seed}.png"


class Archive:
    """A file for ``numpy.load``: ``pixels`` ``(n, h, w, channels)``, ``seeds`` and ``manifest``.

    Until it is whole, a folder ``<name>.part`` beside it has a file for every chunk.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Raises OutputError."""
        self._path, self._manifest, self._chunks = path, manifest, atomic_files.partial_path(path)
        self._done = path.exists()
        if self._done:
            manifest.check(_told(path), path)
        else:
            _claim(self._chunks, manifest)

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """All of them, or none."""
        chunk = self._chunk(seeds)
        return [] if self._done or chunk.exists() else [*seeds]

    def put(self, seeds: Sequence[int], pixels: Pixels) -> None:
        """Keep a chunk."""
        atomic_files.write(self._chunk(seeds), pixels.tobytes())

    def finish(self) -> None:
        """Let the file appear, whole."""
        if not self._done:
            unfinished = atomic_files.partial_path(self._chunks / self._path.name)
            self._gather(unfinished)
            atomic_files.sync(unfinished)
            unfinished.replace(self._path)
            atomic_files.sync(self._path.parent)
        shutil.rmtree(self._chunks, ignore_errors=True)

    def _gather(self, path: Path) -> None:
        """All chunks in one file, of which no more than one is in memory."""
        told = self._manifest
        shape = (told.count, told.height, told.width, told.channels)
        # What numpy.savez writes, whose dates say 1980: the same images make the same file.
        with zipfile.ZipFile(path, "w") as archive:
            with archive.open("pixels.npy", "w", force_zip64=True) as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                npy.write_array_header_1_0(member, header)
                for chunk in told.chunks():
                    member.write(self._chunk(chunk).read_bytes())
            seeds = np.arange(told.seed, told.seed + told.count, dtype=np.uint64)
            with archive.open("seeds.npy", "w", force_zip64=True) as member:
                npy.write_array(member, seeds.astype(np.uint32))  # modulo 2**32
            with archive.open("manifest.npy", "w") as member:
                npy.write_array(member, np.array(told.encoded().decode()))

    def _chunk(self, seeds: Sequence[int]) -> Path:
        return self._chunks / f"{seeds[0]}.raw"


def _claim(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, or find it there. Raises OutputError where something else is."""
    path = folder / MANIFEST
    if path.exists():
        manifest.check(path.read_bytes(), path)
        return
    if folder.exists() and any(
        found != atomic_files.partial_path(path) for found in folder.iterdir()
    ):
        raise OutputError(f"{folder}: holds other files, and no {MANIFEST}; give another --out")
    atomic_files.write(path, manifest.encoded())


def _whole(path: Path) -> bool:
    """Whether a PNG file is there, to its end."""
    try:
        with path.open("rb") as file:
            file.seek(-len(png.IEND), os.SEEK_END)
            return file.read() == png.IEND
    except OSError:  # absent, or shorter
        return False


def _told(path: Path) -> str:
    """The manifest in an archive. Raises OutputError."""
    try:
        with np.load(path) as archive:
            return str(archive["manifest"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise OutputError(f"{path}: holds no rendered images; give another --out") from error
