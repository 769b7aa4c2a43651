import dataclasses
import gzip
import hashlib
import http.server
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data import idx
from training.data.idx import FASHION_MNIST, MNIST, PublishedDataset
from training.errors import DataError

Encode = Callable[[NDArray[np.uint8]], bytes]

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"
ARRAY = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)


def ignore_progress(_name: str, _so_far: int, _total: int) -> None:
    """Ignore progress."""


def header(*shape: int, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape)


# Reading.


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzipped"])
@pytest.mark.parametrize("shape", [(60,), (3, 20), (3, 4, 5), (0, 4, 5)])
def test_an_array_is_read_as_it_was_written(
    tmp_path: Path, encode: Encode, pack: Callable[[bytes], bytes], shape: tuple[int, ...]
) -> None:
    array = ARRAY.reshape(-1)[: int(np.prod(shape))].reshape(shape)
    path = tmp_path / "file"
    path.write_bytes(pack(encode(array)))
    read = idx.read(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzipped"])
def test_a_file_cut_off_anywhere_is_refused_by_name(
    tmp_path: Path, encode: Encode, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "file"
    whole = pack(encode(ARRAY))
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError) as caught:
            idx.read(path)
        assert str(path) in str(caught.value), length


def test_no_flipped_bit_of_a_gzip_file_changes_the_array_unnoticed(
    tmp_path: Path, encode: Encode
) -> None:
    path = tmp_path / "file"
    whole = gzip.compress(encode(ARRAY))
    refused = 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            read = idx.read(path)
        except DataError:
            refused += 1
        else:
            # Flipped bits of the time and the system in gzip's header do no harm.
            np.testing.assert_array_equal(read, ARRAY, err_msg=f"bit {bit}")
    assert refused > 0.8 * 8 * len(whole)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not an IDX file"),
        (b"<!DOCTYPE html><html>", "3c 21 44 4f"),
        (b"\1" + header(60)[1:] + bytes(60), "not an IDX file"),
        (header(60, kind=0x0D) + bytes(240), "not an IDX file of bytes"),
        (header(3, 4, 5)[:9], "truncated within its header"),
        (header(3, 4, 5) + bytes(59), "59 bytes of data, but its header says 60"),
        (header(3, 4, 5) + bytes(61), "61 bytes of data, but its header says 60"),
        (header(65536, 65536, 65536, 65536), ""),  # 2**64 bytes, which is 0 in 64 bits
        (header(*[1] * 255) + bytes(1), ""),  # more dimensions than NumPy has
    ],
    ids=[
        "empty",
        "web page",
        "wrong magic",
        "floats",
        "header cut off",
        "too little",
        "too much",
        "shape overflows",
        "rank of 255",
    ],
)
def test_a_damaged_file_is_refused_by_name_and_cause(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        idx.read(path)
    assert str(path) in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("name", ["absent", "."], ids=["missing", "a folder"])
def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        idx.read(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


# The images of a folder.


@pytest.mark.parametrize("split", ["train", "t10k"])
def test_images_have_one_channel_and_come_from_their_split(
    tmp_path: Path, encode: Encode, split: str
) -> None:
    (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(encode(ARRAY))
    (tmp_path / f"{split}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(encode(ARRAY[:, 0, 0])))
    np.testing.assert_array_equal(idx.images(tmp_path, split), ARRAY[:, None])


@pytest.mark.parametrize("missing", [IMAGES, LABELS])
def test_a_missing_file_is_named(tmp_path: Path, encode: Encode, missing: str) -> None:
    (tmp_path / IMAGES).write_bytes(encode(ARRAY))
    (tmp_path / LABELS).write_bytes(encode(ARRAY[:, 0, 0]))
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match=f"has no {missing} or .*, gzipped or not") as caught:
        idx.images(tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("images", "labels"),
    [(ARRAY, ARRAY[:2, 0, 0]), (ARRAY[0], ARRAY[0, :, 0]), (ARRAY, ARRAY[:, 0])],
    ids=["too few labels", "no images but rows", "a table of labels"],
)
def test_images_and_labels_that_do_not_fit_are_refused(
    tmp_path: Path, encode: Encode, images: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> None:
    (tmp_path / IMAGES).write_bytes(encode(images))
    (tmp_path / LABELS).write_bytes(encode(labels))
    with pytest.raises(DataError) as caught:
        idx.images(tmp_path)
    for part in (tmp_path / IMAGES, images.shape, tmp_path / LABELS, labels.shape):
        assert str(part) in str(caught.value)


@pytest.mark.parametrize(("last", "known"), [(9, True), (10, False), (255, False)])
def test_a_label_out_of_range_is_refused_with_both_files(
    tmp_path: Path, encode: Encode, last: int, known: bool
) -> None:
    (tmp_path / IMAGES).write_bytes(encode(ARRAY))
    (tmp_path / LABELS).write_bytes(encode(np.array([0, last, 1], dtype=np.uint8)))
    if known:
        pixels, labels = idx.labelled(MNIST, tmp_path)
        assert (pixels.shape, labels.tolist()) == ((3, 1, 4, 5), [0, last, 1])
        return
    with pytest.raises(DataError, match=f"has the label {last}, but .* mnist are 0 to 9") as caught:
        idx.labelled(MNIST, tmp_path)
    for name in (IMAGES, LABELS):
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
@pytest.mark.parametrize("name", ["{0}", "{1}", "{0}.gz", "{1}.gz", "{0}/{0}", "{1}/{1}"])
def test_files_are_found_in_every_spelling(
    tmp_path: Path, encode: Encode, pack: Callable[[bytes], bytes], name: str
) -> None:
    for published, array in ((IMAGES, ARRAY), (LABELS, ARRAY[:, 0, 0])):
        path = tmp_path / name.format(published, published.replace("-idx", ".idx"))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pack(encode(array)))
    np.testing.assert_array_equal(idx.images(tmp_path), ARRAY[:, None])


@pytest.mark.parametrize(
    ("published", "inner"), [(MNIST, "MNIST/raw"), (FASHION_MNIST, "FashionMNIST/raw")]
)
def test_torchvisions_root_has_the_files_of_each_data_set(
    tmp_path: Path, published: PublishedDataset, inner: str
) -> None:
    for place in ("MNIST/raw", "FashionMNIST/raw"):
        (tmp_path / place).mkdir(parents=True)
    assert idx.locate(published, tmp_path, ignore_progress) == tmp_path / inner
    (tmp_path / f"{IMAGES}.gz").touch()
    assert idx.locate(published, tmp_path, ignore_progress) == tmp_path


# Finding the folder.


class Server:
    """A local web server that serves the files of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[str] = []
        self.cut_at: int | None = None
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def copyfile(self, source: BinaryIO, outputfile: BinaryIO) -> None:
                outputfile.write(source.read()[: server.cut_at])

            def log_message(self, *_: object) -> None:
                server.requests.append(self.path)

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served")
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, encode: Encode
) -> PublishedDataset:
    """Fashion-MNIST with tiny files on the local server, neither installed nor cached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    labels = np.arange(3, dtype=np.uint8)
    contents = {f"{IMAGES}.gz": encode(ARRAY), f"{LABELS}.gz": encode(labels)}
    for name, content in contents.items():
        (server.folder / name).write_bytes(gzip.compress(content))
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    return dataclasses.replace(
        FASHION_MNIST, url=server.url, installed=tmp_path / "absent", sha256=hashes
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "dcgan-server" / "fashion-mnist"


def test_a_named_folder_comes_before_the_installed_one(
    tmp_path: Path, published: PublishedDataset, server: Server
) -> None:
    published.installed.mkdir()
    assert idx.locate(published, tmp_path, ignore_progress) == tmp_path
    assert server.requests == []


@pytest.mark.parametrize("kind", ["absent", "a file"])
def test_a_data_dir_that_is_not_a_folder_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "here"
    if kind == "a file":
        path.touch()
    with pytest.raises(DataError) as caught:
        idx.locate(FASHION_MNIST, path, ignore_progress)
    assert f"--data-dir {path}" in str(caught.value)


def test_the_installed_folder_comes_before_the_cache(
    published: PublishedDataset, server: Server
) -> None:
    published.installed.mkdir()
    assert idx.locate(published, None, ignore_progress) == published.installed
    assert server.requests == []


def test_downloads_are_cached(published: PublishedDataset, server: Server, cache: Path) -> None:
    calls: dict[str, list[tuple[int, int]]] = {}

    def progress(name: str, so_far: int, total: int) -> None:
        calls.setdefault(name, []).append((so_far, total))

    assert idx.locate(published, None, progress) == cache
    assert {path.name for path in cache.iterdir()} == set(published.sha256)
    for name in published.sha256:
        size = (server.folder / name).stat().st_size
        assert (cache / name).read_bytes() == (server.folder / name).read_bytes()
        assert calls[name] == sorted(calls[name])
        assert calls[name][-1] == (size, size)
    server.requests.clear()
    assert idx.locate(published, None, progress) == cache
    assert server.requests == []


def test_without_xdg_cache_home_the_cache_is_in_the_home_folder(
    tmp_path: Path, published: PublishedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = idx.locate(published, None, ignore_progress)
    assert folder == tmp_path / "home" / ".cache" / "dcgan-server" / "fashion-mnist"


def test_load_returns_the_images_and_their_licence(published: PublishedDataset) -> None:
    image_set = idx.load(published, None, ignore_progress)
    np.testing.assert_array_equal(image_set.pixels, ARRAY[:, None])
    assert image_set.name == "fashion-mnist"
    np.testing.assert_array_equal(image_set.labels.values, [0, 1, 2])
    assert image_set.labels.names[7:] == ("sneaker", "bag", "ankle-boot")
    assert "Zalando" in image_set.licence


OTHER = gzip.compress(b"something else")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda _: OTHER, hashlib.sha256(b"something else").hexdigest()),
        (lambda _: b"<html>Not here</html>", "not a gzip file"),
        (lambda whole: whole[: len(whole) // 2], ""),
        (lambda whole: whole[:-4], ""),
        (lambda whole: whole + b"and more", ""),
    ],
    ids=["other content", "no gzip", "half of it", "without its checksum", "and more"],
)
def test_a_damaged_download_is_refused_and_nothing_is_left(
    published: PublishedDataset,
    server: Server,
    cache: Path,
    damage: Callable[[bytes], bytes],
    complaint: str,
) -> None:
    served = server.folder / f"{IMAGES}.gz"
    served.write_bytes(damage(served.read_bytes()))
    with pytest.raises(DataError) as caught:
        idx.locate(published, None, ignore_progress)
    assert f"{server.url}{served.name}" in str(caught.value)
    assert complaint in str(caught.value)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("trouble", ["404", "refused", "cut off"])
def test_a_failed_download_is_reported_with_advice_and_leaves_nothing(
    published: PublishedDataset, server: Server, cache: Path, trouble: str
) -> None:
    if trouble == "404":
        (server.folder / f"{IMAGES}.gz").unlink()
    elif trouble == "cut off":
        server.cut_at = 30
    else:
        with socket.create_server(("127.0.0.1", 0)) as closed_again:
            port = closed_again.getsockname()[1]
        published = dataclasses.replace(published, url=f"http://127.0.0.1:{port}/")
    with pytest.raises(DataError) as caught:
        idx.locate(published, None, ignore_progress)
    for part in (published.url, "dataset-fashion-mnist", "--data-dir"):
        assert part in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_failed_download_leaves_the_files_before_it(
    published: PublishedDataset, server: Server, cache: Path
) -> None:
    (server.folder / f"{LABELS}.gz").unlink()
    with pytest.raises(DataError):
        idx.locate(published, None, ignore_progress)
    assert [path.name for path in cache.iterdir()] == [f"{IMAGES}.gz"]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, published: PublishedDataset
) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(DataError) as caught:
        idx.locate(published, None, ignore_progress)
    assert str(tmp_path / "cache") in str(caught.value)


# The published files themselves.

installed = pytest.mark.skipif(
    not FASHION_MNIST.installed.is_dir(),
    reason=f"Debian's package {FASHION_MNIST.package} is not installed",
)


@installed
@pytest.mark.parametrize("name", FASHION_MNIST.sha256)
def test_debians_files_have_the_pinned_hashes(name: str) -> None:
    content = gzip.decompress((FASHION_MNIST.installed / name).read_bytes())
    assert hashlib.sha256(content).hexdigest() == FASHION_MNIST.sha256[name]


@installed
@pytest.mark.parametrize("split", ["train", "t10k"])
def test_debians_files_are_identified(split: str) -> None:
    pixels = idx.images(FASHION_MNIST.installed, split)
    assert idx.identified(pixels, split) == FASHION_MNIST
    assert idx.identified(pixels[:-1], split) is None


@installed
def test_debians_files_hold_as_many_images_of_each_class() -> None:
    _, labels = idx.labelled(FASHION_MNIST, FASHION_MNIST.installed, "t10k")
    assert np.bincount(labels).tolist() == [1000] * 10


@installed
@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("t10k", 10_000)])
def test_debians_files_hold_all_images(split: str, count: int) -> None:
    assert idx.images(FASHION_MNIST.installed, split).shape == (count, 1, 28, 28)
