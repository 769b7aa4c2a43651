"""``import --check`` and ``--reference``: images of the original verify what was assumed."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import nn

from app.artifact import card
from app.imaging import png
from app.imaging.sheets import sheet
from tests.dcgan_example import WIDTH, Example
from training.export.originals import tiles
from training.export.two_samples import compare

KINDS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("example", {}, []),
    ("leaky", {"activation": lambda: nn.LeakyReLU(0.2)}, ["--activation", "leaky"]),
    ("sigmoid", {"last": nn.Sigmoid}, ["--range", "sigmoid"]),
    ("eps", {"eps": 0.8}, ["--norm-eps", "0.8"]),
    ("12×12", {"crop": 2}, ["--image-size", "12"]),
]
_PNG = png.encode(np.zeros((16, 16, 1), np.uint8))
_CUT = b"pHYs" + b"cut"
CUT_PNG = _PNG[:33] + (3).to_bytes(4) + _CUT + zlib.crc32(_CUT).to_bytes(4) + _PNG[33:]
"""A picture with a chunk that is too short, behind the one with its size."""
kinds = pytest.mark.parametrize(
    ("kind", "flags"), [row[1:] for row in KINDS], ids=[row[0] for row in KINDS]
)


def original(**kind: Any) -> Example:
    """A generator with colours from black to white, and large statistics of its batch norm."""
    torch.manual_seed(0)
    network = Example(16, **kind)
    with torch.no_grad():
        for layer in network.main:
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight.mul_(5)
        network(torch.randn(256, WIDTH, 1, 1))
    return network.eval()


def images(network: Example, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Latents that are no seed's, and the generator's output."""
    latents = torch.randn(count, WIDTH, 1, 1, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return latents.numpy(), network(latents).numpy()


def checked(network: Example, path: Path) -> Path:
    latents, output = images(network, 8)
    np.savez(path, latents=latents, images=output)
    return path


def pictured(network: Example, path: Path, count: int = 64) -> Path:
    """A grid as torchvision's save_image writes it, with 2 pixels around every image."""
    _, output = images(network, count)
    lowest = 0 if isinstance(network.main[-1], nn.Sigmoid) else -1
    pixels = np.rint((output - lowest) / (1 - lowest) * 255).astype(np.uint8)
    grid = sheet(pixels.transpose(0, 2, 3, 1), 8, 2)
    Picture.fromarray(np.pad(grid, ((2, 2), (2, 2), (0, 0)))).save(path)
    return path


@kinds
@pytest.mark.parametrize("flag", ["--check", "--reference"])
def test_wrong_assumptions_are_refused_with_the_flags_that_mend_them(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    kind: dict[str, Any],
    flags: list[str],
    flag: str,
) -> None:
    network = original(**kind)
    torch.save(network.state_dict(), tmp_path / "netG.pth")
    if flag == "--check":
        file = checked(network, tmp_path / "check.npz")
    else:
        file = pictured(network, tmp_path / "samples.png")
    wrong = flags and publish("import", tmp_path / "netG.pth", flag, file)
    assert wrong == (1 if flags else [])
    assert "; they fit with " + " ".join(flags) in capsys.readouterr().err or not flags
    assert publish("import", tmp_path / "netG.pth", flag, file, *flags) == 0
    assert f"verified with {file}" in capsys.readouterr().out
    options = card.read(tmp_path / "models/mine/1").training.options
    assert options["verified_with"] == [file.name]


@pytest.mark.parametrize("flag", ["--check", "--reference"])
def test_images_of_another_network_are_refused(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    network = original()
    torch.save(network.state_dict(), tmp_path / "netG.pth")
    network.main[6].weight = nn.Parameter(-network.main[6].weight.abs() - 1)
    if flag == "--check":
        file = checked(network, tmp_path / "check.npz")
    else:
        file = pictured(network, tmp_path / "samples.png")
    assert publish("import", tmp_path / "netG.pth", flag, file) == 1
    assert "or --image-size mends that; export the network as ONNX" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"latents": np.zeros((2, WIDTH))}, "must be an NPZ file with the arrays latents and"),
        (
            {"latents": np.zeros((2, 3)), "images": np.zeros((2, 3, 16, 16))},
            "latents has the shape (2, 3), not (n, 10)",
        ),
        (
            {"latents": np.zeros(0), "images": np.zeros((0, 3, 16, 16))},
            "latents has the shape (0,), not (n, 10)",
        ),
        (
            {"latents": np.zeros((2, WIDTH)), "images": np.zeros((2, 1, 16, 16))},
            "images has the shape (2, 1, 16, 16), not (2, 3, height, width)",
        ),
        (
            {"latents": np.zeros((2, WIDTH)), "images": np.zeros((3, 3, 16, 16))},
            "images has the shape (3, 3, 16, 16), not (2, 3, height, width)",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    arrays: dict[str, NDArray[np.float64]],
    words: str,
) -> None:
    torch.save(Example(16).state_dict(), tmp_path / "netG.pth")
    np.savez(tmp_path / "check.npz", **arrays)
    assert publish("import", tmp_path / "netG.pth", "--check", tmp_path / "check.npz") == 1
    assert f"check.npz: {words}" in capsys.readouterr().err


def test_a_damaged_compressed_file_is_named(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(Example(16).state_dict(), tmp_path / "netG.pth")
    file = tmp_path / "check.npz"
    np.savez_compressed(file, latents=np.zeros((2, WIDTH)), images=np.zeros((2, 3, 16, 16)))
    content = file.read_bytes()
    data = content.index(b"latents.npy") + 31  # behind a zip64 field of 20 bytes
    file.write_bytes(content[:data] + b"\xff" * 20 + content[data + 20 :])
    assert publish("import", tmp_path / "netG.pth", "--check", file) == 1
    assert "check.npz: must be an NPZ file with the arrays" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [None, b"", b"PK\x03\x04", b"nonsense", CUT_PNG],
    ids=["missing", "empty", "cut archive", "nonsense", "cut picture"],
)
@pytest.mark.parametrize("flag", ["--check", "--reference"])
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path,
    publish: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    flag: str,
    content: bytes | None,
) -> None:
    torch.save(Example(16).state_dict(), tmp_path / "netG.pth")
    if content is not None:
        (tmp_path / "theirs").write_bytes(content)
    assert publish("import", tmp_path / "netG.pth", flag, tmp_path / "theirs") == 1
    assert f"{tmp_path / 'theirs'}: " in capsys.readouterr().err


def test_a_few_samples_prove_nothing(
    tmp_path: Path, publish: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    network = original()
    torch.save(network.state_dict(), tmp_path / "netG.pth")
    few = pictured(network, tmp_path / "few.png", 8)
    assert publish("import", tmp_path / "netG.pth", "--reference", few) == 1
    assert "shows 8 images, but a comparison needs 16" in capsys.readouterr().err


@pytest.mark.parametrize("padding", [0, 1, 2, 3])
@pytest.mark.parametrize("border", [0, 2])
def test_images_are_cut_from_a_grid(padding: int, border: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (11, 5, 5, 3), dtype=np.uint8)
    border = border and padding
    grid = np.pad(sheet(pixels, 4, padding), ((border, border), (border, border), (0, 0)))
    np.testing.assert_array_equal(tiles(grid, 5), pixels)
    assert tiles(grid[:, 1:], 5).shape == (0, 5, 5, 3)


def test_the_test_of_two_samples_accepts_one_distribution_and_refuses_two() -> None:
    random = np.random.default_rng(0)
    first, second = (random.integers(0, 256, (64, 8, 8, 1), dtype=np.uint8) for _ in range(2))
    assert compare(first, first) == pytest.approx((0, 1), abs=1e-3)
    assert compare(first, second)[1] > 0.05
    assert compare(first, second // 2 + 30)[1] < 0.01
