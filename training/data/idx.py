"""Finds, downloads, verifies and reads the IDX files of Fashion-MNIST and MNIST.

Format: http://yann.lecun.com/exdb/mnist/, "file formats for the MNIST database".
"""

import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray

from training.data.folder_files import check_folder
from training.data.images import ByteCount, ImageSet
from training.data.labels import ImageLabels
from training.errors import DataError

_UINT8, _MAX_RANK = 8, 4


@dataclass(frozen=True)
class PublishedDataset:
    """A data set as its authors published it."""

    name: str
    url: str
    licence: str
    classes: tuple[str, ...]
    """Names of the classes, in the order of their numbers."""
    torchvision: Path
    """The folder in which torchvision keeps the files, below its ``root``."""
    package: str | None
    """Debian package with the same files, if there is one."""
    installed: Path | None
    """Folder into which that package installs them."""
    sha256: dict[str, str]
    """Hash of each file's decompressed content: mirrors compress the same bytes differently."""

    @property
    def offline_advice(self) -> str:
        """How to get the files without a network connection."""
        package = f"Install the Debian package {self.package}, or pass" if self.package else "Pass"
        return f"{package} a folder with its four files as --data-dir"


FASHION_MNIST = PublishedDataset(
    name="fashion-mnist",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    licence="MIT, Copyright 2017 Zalando SE",
    classes=(
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle-boot",
    ),
    torchvision=Path("FashionMNIST/raw"),
    package="dataset-fashion-mnist",
    installed=Path("/usr/share/datasets/fashion-mnist"),
    sha256={
        "train-images-idx3-ubyte.gz": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte.gz": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
)

MNIST = PublishedDataset(
    name="mnist",
    url="https://storage.googleapis.com/cvdf-datasets/mnist/",
    licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
    classes=tuple("0123456789"),
    torchvision=Path("MNIST/raw"),
    package=None,
    installed=None,
    sha256={
        "train-images-idx3-ubyte.gz": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte.gz": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
)

UNKNOWN = "unknown"
"""Name and licence of a data set whose files are not the published ones."""

PUBLISHED = {published.name: published for published in (FASHION_MNIST, MNIST)}
"""The published data sets, by name."""


def read(path: Path) -> NDArray[np.uint8]:
    """The array in an IDX file of uint8 values, gzipped or not.

    Raises DataError with the file's name if it is not such a file, or damaged.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if len(content) < 4 or content[:3] != bytes((0, 0, _UINT8)):
        raise DataError(f"{path}: not an IDX file of bytes: it begins with {content[:4].hex(' ')}")
    rank = content[3]
    if rank > _MAX_RANK:
        raise DataError(f"{path}: has {rank} axes, more than {_MAX_RANK}")
    start = 4 + 4 * rank
    if len(content) < start:
        raise DataError(f"{path}: truncated within its header")
    shape = struct.unpack(f">{rank}I", content[4:start])
    expected = math.prod(shape)
    if len(content) - start != expected:
        raise DataError(
            f"{path}: has {len(content) - start} bytes of data, but its header says {expected}"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load(
    published: PublishedDataset, data_dir: Path | None, progress: ByteCount, named: bool = True
) -> ImageSet:
    """The training images of ``published`` and their classes, from the folder of ``locate``.

    If the user has not ``named`` the data set, other images than the published ones are of an
    unknown data set, of unknown licence, whose classes are numbers.
    """
    pixels, labels = labelled(published, locate(published, data_dir, progress))
    name, licence, classes = published.name, published.licence, published.classes
    if not named and identified(pixels) is None:
        name, licence, classes = UNKNOWN, UNKNOWN, tuple(map(str, range(len(classes))))
    return ImageSet(name, licence, pixels, ImageLabels(classes, exclusive=True, values=labels))


class LabelledImages(NamedTuple):
    """Images and their classes."""

    pixels: NDArray[np.uint8]
    """``(n, 1, height, width)``."""
    labels: NDArray[np.uint8]
    """Class numbers ``(n,)``."""


def labelled(published: PublishedDataset, folder: Path, split: str = "train") -> LabelledImages:
    """The images of ``split`` (``train`` or ``t10k``) in ``folder``, and their classes.

    Raises DataError if a file is missing or damaged, if there is not one label for each image, if a
    label is not the number of a class, or if the images are those of another published data set.
    """
    pixels, classes = images(folder, split), labels(folder, split)
    largest, last = classes.max(initial=0), len(published.classes) - 1
    if largest > last:
        raise DataError(
            f"{find(folder, labels_name(split))}: an image of {find(folder, images_name(split))} "
            f"has the label {largest}, but the classes of {published.name} are 0 to {last}"
        )
    found = identified(pixels, split)
    if found and found.name != published.name:
        raise DataError(
            f"{find(folder, images_name(split))}: has the images of {found.name}, not of "
            f"{published.name}; to train on them, pass --dataset {found.name}"
        )
    return LabelledImages(pixels, classes)


def identified(pixels: NDArray[np.uint8], split: str = "train") -> PublishedDataset | None:
    """The published data set whose images of ``split`` ``pixels`` are, by their hash; or None."""
    rows = pixels[:, 0]
    digest = hashlib.sha256(_header(rows.shape) + rows.tobytes()).hexdigest()
    for published in PUBLISHED.values():
        if published.sha256.get(f"{images_name(split)}.gz") == digest:
            return published
    return None


def _header(shape: tuple[int, ...]) -> bytes:
    """The first bytes of an IDX file of bytes."""
    return bytes((0, 0, _UINT8, len(shape))) + struct.pack(f">{len(shape)}I", *shape)


def images(folder: Path, split: str = "train") -> NDArray[np.uint8]:
    """The images of ``split`` (``train`` or ``t10k``) in ``folder``: uint8 ``(n, 1, h, w)``.

    Raises DataError if a file is missing or damaged, or if there is not one label for each image.
    """
    images_file, labels_file = find(folder, images_name(split)), find(folder, labels_name(split))
    pixels, classes = read(images_file), read(labels_file)
    if pixels.ndim != 3 or classes.shape != pixels.shape[:1]:
        raise DataError(
            f"{images_file} and {labels_file} do not match: the images have shape {pixels.shape}, "
            f"the labels {classes.shape}, but there must be one label for each image"
        )
    return pixels[:, None]


def labels(folder: Path, split: str = "train") -> NDArray[np.uint8]:
    """The classes of the images of ``split``, in the same order: uint8 ``(n,)``."""
    return read(find(folder, labels_name(split)))


def images_name(split: str) -> str:
    """The published name of the file with the images of ``split``, without ``.gz``."""
    return f"{split}-images-idx3-ubyte"


def labels_name(split: str) -> str:
    """The published name of the file with the labels of ``split``, without ``.gz``."""
    return f"{split}-labels-idx1-ubyte"


def find(folder: Path, name: str) -> Path:
    """The file ``name`` in ``folder``, gzipped or not, also if it is spelt with a dot.

    That is ``train-images.idx3-ubyte`` for ``train-images-idx3-ubyte``, as some archives unpack it.
    Raises DataError if there is none.
    """
    path = _found(folder, name)
    if path is None:
        raise DataError(f"{folder}: has no {name} or {dotted(name)}, gzipped or not")
    return path


def dotted(name: str) -> str:
    """The other spelling of a published ``name``: ``train-images.idx3-ubyte``."""
    return name.replace("-idx", ".idx")


def _found(folder: Path, name: str) -> Path | None:
    for spelling in (name, dotted(name)):
        # Kaggle's archives hold each file in a folder of the same name.
        for path in (folder / f"{spelling}.gz", folder / spelling, folder / spelling / spelling):
            if path.is_file():
                return path
    return None


def locate(published: PublishedDataset, data_dir: Path | None, progress: ByteCount) -> Path:
    """The folder with the files: ``data_dir``, else the Debian package's, else the cache folder.

    ``data_dir`` may also be torchvision's ``root``, which has the files in ``MNIST/raw`` or
    ``FashionMNIST/raw``. Files that are missing from the cache folder are downloaded into it.
    Raises DataError if ``data_dir`` is not a folder or a download fails.
    """
    if data_dir is not None:
        check_folder(f"--data-dir {data_dir}", data_dir)
        inner = data_dir / published.torchvision
        return inner if inner.is_dir() and not _found(data_dir, images_name("train")) else data_dir
    if published.installed is not None and published.installed.is_dir():
        return published.installed
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "dcgan-server" / published.name
    for name in published.sha256:
        if not (folder / name).is_file():
            download(published, name, folder, progress)
    return folder


def download(published: PublishedDataset, name: str, folder: Path, progress: ByteCount) -> None:
    """Download one file into ``folder``; it appears there only once complete and verified.

    Raises DataError, with advice on how to get the files without a network.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be created: {error.strerror}") from error
    part, url = folder / f"{name}.part", published.url + name
    decompressor, digest = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), hashlib.sha256()
    try:
        with (
            part.open("wb") as file,
            httpx.stream("GET", url, follow_redirects=True, timeout=30) as response,
        ):
            response.raise_for_status()
            total = int(response.headers.get("content-length", 0))
            for chunk in response.iter_raw():
                file.write(chunk)
                digest.update(decompressor.decompress(chunk))
                progress(name, file.tell(), total)
        if not decompressor.eof or decompressor.unused_data:
            raise DataError(f"{url}: not a complete gzip file")
        if digest.hexdigest() != published.sha256[name]:
            raise DataError(
                f"{url}: its content has SHA-256 {digest.hexdigest()}, not {published.sha256[name]}"
            )
        part.replace(folder / name)
    except zlib.error as error:
        raise DataError(f"{url}: not a gzip file: {error}") from error
    except httpx.HTTPError as error:
        raise DataError(
            f"{published.name} is not installed and cannot be downloaded from {published.url} "
            f"({error or type(error).__name__}). {published.offline_advice}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
