import dataclasses
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from app.artifact import card
from training.__main__ import main
from training.config import Config, from_flags
from training.data import datasets, idx
from training.data.idx import FASHION_MNIST, MNIST, PublishedDataset
from training.errors import DataError
from training.gan import hardware
from training.loop import device
from training.run.journal import Run

TINY = "--generator-filters 1 --discriminator-filters 1 --latent-dim 2 --batch-size 4 --epochs 1"


def ignore(*_: object) -> None:
    pass


def fail_on_skip(path: Path, reason: str) -> None:
    raise AssertionError((path, reason))


def encoded(values: NDArray[np.uint8]) -> bytes:
    shape = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes((0, 0, 8, values.ndim)) + shape + values.tobytes()


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    """Four images of 28×28 and their labels."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    place = tmp_path / "idx"
    place.mkdir()
    (place / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(encoded(pixels)))
    (place / "train-labels-idx1-ubyte").write_bytes(encoded(np.zeros(4, np.uint8)))
    return place


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Sixteen images of one colour each, and a text file."""
    place = tmp_path / "pictures"
    place.mkdir()
    for k in range(16):
        Image.new("RGB", (30, 20), (10 * k, 100, 200)).save(place / f"{k:02d}.png")
    (place / "notes.txt").write_text("no picture")
    return place


def fit(out: Path, *flags: object) -> int:
    place = ["--out", str(out), "--device", "cpu", "--threads", "1"]
    return main(["fit", *place, *TINY.split(), *map(str, flags)])


# The name of a data set.


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist", "folder:.", "folder:a b", "folder:/x"])
def test_a_data_set_has_a_known_name_or_a_folder(name: str) -> None:
    assert from_flags({"dataset": name}).dataset == name


@pytest.mark.parametrize("name", ["", "cifar-10", "MNIST", "folder", "folder:", "/x", "mnist "])
def test_any_other_name_is_refused_with_what_is_allowed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        ValidationError, match="must be fashion-mnist, mnist, avatars or folder:PATH"
    ):
        from_flags({"dataset": name})
    assert fit(tmp_path / "run", f"--dataset={name}") == 2
    shown = name if name and name == name.strip() else repr(name)
    assert capsys.readouterr().err == (
        f"error: --dataset {shown}: must be fashion-mnist, mnist, avatars or folder:PATH\n"
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("mnist", None),
        ("folder:.", Path()),
        ("folder:/a/folder:b", Path("/a/folder:b")),
        ("folder:~/pets", Path("/home/someone/pets")),
    ],
)
def test_a_folders_path_follows_its_colon(
    name: str, path: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert Config(dataset=name).folder == path


# Published data sets.


def test_mnist_is_pinned_file_by_file() -> None:
    assert MNIST.sha256.keys() == FASHION_MNIST.sha256.keys()
    hashes = {*MNIST.sha256.values(), *FASHION_MNIST.sha256.values()}
    assert len(hashes) == 8
    assert all(len(bytes.fromhex(digest)) == 32 for digest in hashes)
    assert MNIST.url.startswith("https://")
    assert MNIST.licence.startswith("CC BY-SA 3.0")


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_folder_of_idx_files_is_read_as_the_set_that_is_named(
    name: str, idx_folder: Path
) -> None:
    found = datasets.load(Config(dataset=name, data_dir=idx_folder), ignore, fail_on_skip)
    assert (found.name, found.pixels.shape) == (name, (4, 1, 28, 28))
    published = {"mnist": MNIST, "fashion-mnist": FASHION_MNIST}[name]
    assert found.licence == published.licence
    assert found.labels is not None
    assert (found.labels.names, found.labels.exclusive) == (published.classes, True)
    assert found.labels.values.tolist() == [0, 0, 0, 0]


def test_other_files_than_the_published_ones_are_unknown_unless_their_set_is_named(
    idx_folder: Path,
) -> None:
    found = datasets.load(Config(data_dir=idx_folder), ignore, fail_on_skip)
    assert (found.name, found.licence) == ("unknown", "unknown")
    assert found.labels is not None
    assert found.labels.names == tuple("0123456789")


@pytest.fixture
def known_as_mnist(idx_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of ``idx_folder``, as if they were those of MNIST."""
    content = gzip.decompress((idx_folder / "train-images-idx3-ubyte.gz").read_bytes())
    hashes = {**MNIST.sha256, "train-images-idx3-ubyte.gz": hashlib.sha256(content).hexdigest()}
    monkeypatch.setitem(idx.PUBLISHED, "mnist", dataclasses.replace(MNIST, sha256=hashes))
    return idx_folder


@pytest.mark.parametrize("named", [{}, {"dataset": "fashion-mnist"}], ids=["by default", "named"])
def test_files_of_another_published_set_are_refused_with_the_flag_that_reads_them(
    known_as_mnist: Path, named: dict[str, str]
) -> None:
    with pytest.raises(DataError) as caught:
        datasets.load(Config(data_dir=known_as_mnist, **named), ignore, fail_on_skip)
    assert str(caught.value) == (
        f"{known_as_mnist / 'train-images-idx3-ubyte.gz'}: has the images of mnist, not of "
        "fashion-mnist; to train on them, pass --dataset mnist"
    )
    found = datasets.load(Config(dataset="mnist", data_dir=known_as_mnist), ignore, fail_on_skip)
    assert (found.name, found.licence) == (MNIST.name, MNIST.licence)


def test_a_run_on_unknown_images_is_resumed_and_its_card_says_so(
    idx_folder: Path, tmp_path: Path
) -> None:
    assert fit(tmp_path / "run", "--data-dir", idx_folder) == 0
    assert main(["fit", "--out", str(tmp_path / "run"), "--resume", "--epochs", "2"]) == 0
    export = ["export", str(tmp_path / "run"), "--name", "a", "--version", "1"]
    assert main([*export, "--models", str(tmp_path)]) == 0
    made = card.read(tmp_path / "a" / "1")
    assert (made.dataset.name, made.dataset.licence) == ("unknown", "unknown")
    assert made.training.options["dataset"] == "unknown"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch, idx_folder: Path) -> PublishedDataset:
    """MNIST with four images; requests to its address are answered without a network."""
    contents = {
        name: idx.read(next(idx_folder.glob(name.removesuffix(".gz") + "*")))
        for name in MNIST.sha256
        if name.startswith("train")
    }
    files = {name: gzip.compress(encoded(values)) for name, values in contents.items()}

    def stream(_: str, url: str, **__: object) -> Any:
        def answered(__: httpx.Request) -> httpx.Response:
            content = files[url.removeprefix(MNIST.url)]
            return httpx.Response(200, stream=httpx.ByteStream(content))

        return httpx.Client(transport=httpx.MockTransport(answered)).stream("GET", url)

    monkeypatch.setattr(httpx, "stream", stream)
    hashes = {
        n: hashlib.sha256(gzip.decompress(content)).hexdigest() for n, content in files.items()
    }
    return dataclasses.replace(MNIST, sha256=hashes)


def test_mnist_is_downloaded_if_it_is_missing(
    mirror: PublishedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(idx.PUBLISHED, "mnist", mirror)
    found = datasets.load(Config(dataset="mnist"), ignore, fail_on_skip)
    assert found.pixels.shape == (4, 1, 28, 28)
    cache = tmp_path / "cache" / "dcgan-server" / "mnist"
    assert {path.name for path in cache.iterdir()} == set(mirror.sha256)


def test_a_download_with_another_hash_is_refused(
    mirror: PublishedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match=r"SHA-256 [0-9a-f]{64}, not ba891046"):
        datasets.load(Config(dataset="mnist"), ignore, fail_on_skip)
    assert mirror.url == MNIST.url


def test_without_a_network_the_advice_is_data_dir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(*_: object, **__: object) -> None:
        raise httpx.ConnectError("no route to host")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(httpx, "stream", stream)
    with pytest.raises(DataError, match="mnist is not installed") as caught:
        datasets.load(Config(dataset="mnist"), ignore, fail_on_skip)
    assert str(caught.value).endswith(". Pass a folder with its four files as --data-dir")
    assert "Debian" not in str(caught.value)


# Folders.


@pytest.mark.parametrize(("size", "expected"), [(None, 64), (32, 32)])
def test_a_folders_images_have_the_requested_size_or_64(
    pictures: Path, size: int | None, expected: int
) -> None:
    skipped: list[Path] = []
    config = Config(dataset=f"folder:{pictures}", image_size=size, batch_size=4)
    found = datasets.load(config, ignore, lambda path, _: skipped.append(path))
    assert found.pixels.shape == (16, 3, expected, expected)
    assert [path.name for path in skipped] == ["notes.txt"]


def test_classes_of_a_folder_are_chosen_for_a_run_that_ignores_them_then(tmp_path: Path) -> None:
    for k in range(20):
        place = tmp_path / ("Red cats" if k < 12 else "dogs")
        place.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), (10 * k, 100, 200)).save(place / f"{k:02d}.png")
    config = Config(
        dataset=f"folder:{tmp_path}",
        image_size=16,
        batch_size=4,
        classes="red-cats",
        conditional="none",
    )
    found = datasets.load(config, ignore, fail_on_skip)
    assert found.labels is None
    assert sorted({*found.pixels[:, 0].ravel().tolist()}) == [10 * k for k in range(12)]


def test_a_folder_data_set_takes_no_data_dir(pictures: Path) -> None:
    config = Config(dataset=f"folder:{pictures}", data_dir=pictures)
    with pytest.raises(DataError, match=f"--data-dir {pictures}: "):
        datasets.load(config, ignore, fail_on_skip)


def test_a_run_on_a_folder_is_resumed_and_published(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, chosen = tmp_path / "run", ["--dataset", f"folder:{pictures}", "--image-size", "16"]
    assert fit(run, *chosen) == 0
    output = capsys.readouterr().err
    warning = f"warning: {pictures / 'notes.txt'}: skipped: not an image of a supported format\n"
    assert output.count(warning) == 1
    assert output.count("folder:pictures:   0%") == 1
    assert Run(run).data().model_dump() == {
        "name": "folder:pictures",
        "licence": "unknown, the user's own",
        "images": 16,
        "channels": 3,
        "height": 16,
        "width": 16,
        "classes": None,
        "attributes": None,
    }
    assert main(["fit", "--out", str(run), "--resume", "--epochs", "2"]) == 0
    export = ["export", str(run), "--name", "pets", "--version", "1", "--models", str(tmp_path)]
    assert main(export) == 0
    made = card.read(tmp_path / "pets" / "1")
    assert made.dataset.model_dump() == {
        "name": "folder:pictures",
        "licence": "unknown, the user's own",
        "images": 16,
    }
    # The card is public, so it must not contain the path of the folder.
    assert str(pictures.parent) not in made.model_dump_json()
    assert made.training.options["dataset"] == "folder:pictures"


def test_a_resumed_run_notices_missing_images(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (20, 20)).save(pictures / "one-more.png")
    assert fit(tmp_path / "run", "--dataset", f"folder:{pictures}", "--image-size", "16") == 0
    (pictures / "one-more.png").unlink()
    assert main(["fit", "--out", str(tmp_path / "run"), "--resume"]) == 1
    output = capsys.readouterr().err
    assert "images 17, not 16" in output


@pytest.mark.parametrize("flags", [[], ["--batch-size", "20"]], ids=["none", "too few"])
def test_an_unusable_folder_starts_no_run(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    place = pictures if flags else tmp_path / "absent"
    assert fit(tmp_path / "run", "--dataset", f"folder:{place}", *flags) == 1
    assert f"{place}: " in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_card_names_the_data_set_and_all_options_but_the_placement(
    idx_folder: Path, tmp_path: Path
) -> None:
    assert fit(tmp_path / "run", "--data-dir", idx_folder, "--dataset", "mnist") == 0
    export = ["export", str(tmp_path / "run"), "--name", "a", "--version", "1"]
    assert main([*export, "--models", str(tmp_path)]) == 0
    output = json.loads((tmp_path / "a" / "1" / "card.json").read_text())
    assert output["training"]["options"]["dataset"] == output["dataset"]["name"] == "mnist"
    assert output["training"]["options"].keys() == Config.model_fields.keys() - {
        "data_dir",
        "device",
        "execution",
        "features",
        "threads",
        "track",
    }


# Where the pixels are stored.


class Moves:
    """Stands in for a GPU: records what is sent to it and from which memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int = 0) -> None:
        self.sent: list[tuple[torch.device, dict[str, object]]] = []
        self.pinned = 0
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 2**40))
        monkeypatch.setattr(torch.Tensor, "to", self._to)
        monkeypatch.setattr(torch.Tensor, "pin_memory", self._pin)

    def _to(self, where: torch.device, **options: object) -> str:
        self.sent.append((where, options))
        return "on the GPU"

    def _pin(self) -> torch.Tensor:
        self.pinned += 1
        return torch.zeros(1)


PIXELS = np.zeros((10, 1, 10, 10), dtype=np.uint8)  # a thousand bytes
GPU, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.mark.parametrize(("free", "fits"), [(0, False), (1999, False), (2000, True), (2**36, True)])
def test_images_are_stored_on_the_gpu_if_half_of_its_memory_suffices(
    monkeypatch: pytest.MonkeyPatch, free: int, fits: bool
) -> None:
    moves, output = Moves(monkeypatch, free), list[str]()
    images = device.place_images(PIXELS, GPU, output.append)
    if fits:
        assert output == []
        assert images == "on the GPU"
        assert moves.sent == [(GPU, {})]
    else:
        assert isinstance(images, torch.Tensor)
        assert images.dtype == torch.uint8
        assert images.shape == (10, 1, 10, 10)
        assert moves.sent == []
        (line,) = output
        assert line.startswith("the images stay in the host's memory: 1,000 bytes are more than")


def test_cudnn_benchmarks_its_algorithms_only_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    device.tune_convolutions(GPU)
    assert torch.backends.cudnn.benchmark
    device.tune_convolutions(CPU)
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("writable", [True, False])
def test_on_a_cpu_images_are_copied_only_if_necessary(writable: bool) -> None:
    pixels = PIXELS.copy()
    pixels.flags.writeable = writable  # PyTorch takes no other
    images = device.place_images(pixels, CPU)
    assert images.equal(torch.zeros_like(images))
    assert (images.data_ptr() == pixels.ctypes.data) is writable
    channel = np.zeros((10, 3, 10, 10), np.uint8)[:, :1]
    assert device.place_images(channel, CPU).is_contiguous()


def test_a_batch_is_copied_to_the_gpu_from_pinned_memory_without_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = torch.zeros(2)
    assert hardware.to_device(batch, CPU) is batch
    moves = Moves(monkeypatch)
    hardware.to_device(batch, GPU)
    assert moves.pinned == 1
    assert moves.sent == [(GPU, {"non_blocking": True})]


def test_a_batch_on_the_gpu_stays_there(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = Moves(monkeypatch)
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    hardware.to_device(torch.zeros(2), GPU)
    assert moves.pinned == 0
