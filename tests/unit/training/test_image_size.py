from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from tests import tiny_run
from training.__main__ import main
from training.config import Architecture, Config, from_flags
from training.data import datasets
from training.data.images import fit_square, resize
from training.gan import networks
from training.gan.gan import Gan
from training.run.journal import Run

SIZES = range(16, 129, 4)
MISFITS = [-16, 0, 4, 12, 15, 17, 18, 30, 126, 132, 256]


# The option.


@pytest.mark.parametrize("size", SIZES)
def test_every_multiple_of_four_in_range_is_accepted(size: int) -> None:
    assert from_flags({"image_size": str(size)}).image_size == size


@pytest.mark.parametrize("size", MISFITS)
def test_any_other_size_is_an_error_that_says_what_is_allowed(
    size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError, match="must be a multiple of 4 from 16 to 128"):
        Config(image_size=size)
    assert main(["fit", "--out", str(tmp_path / "run"), f"--image-size={size}"]) == 2
    output = capsys.readouterr().err
    assert output == f"error: --image-size {size}: must be a multiple of 4 from 16 to 128\n"


def test_text_that_is_not_a_number_is_an_error() -> None:
    with pytest.raises(ValidationError, match="image_size"):
        from_flags({"image_size": "large"})


# The networks.


@pytest.mark.parametrize(
    ("stack", "channels"), [("paper", 1), ("paper", 3), ("keras", 1), ("upsample", 3), ("lean", 3)]
)
@pytest.mark.parametrize("size", SIZES)
def test_every_generator_is_built_for_every_size(stack: Any, size: int, channels: int) -> None:
    torch.manual_seed(0)
    network = networks.generator(3, channels, size, 1, Architecture(generator=stack))
    images = network(100 * torch.randn(2, 3))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("stack", "spectral_norm"),
    [("paper", True), ("paper", False), ("deeper", False), ("keras", True), ("upsample", False)],
)
def test_every_discriminator_is_built_for_every_size(
    stack: Any, size: int, spectral_norm: bool
) -> None:
    torch.manual_seed(0)
    network = networks.discriminator(3, size, 1, spectral_norm, Architecture(discriminator=stack))
    logits = network(torch.rand(2, 3, size, size))
    assert logits.shape == (2, 1)
    assert logits.isfinite().all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stack", ["keras", "upsample"])
def test_the_keras_and_upsample_stacks_begin_at_a_quarter_of_the_size(
    stack: Any, size: int
) -> None:
    network = networks.generator(3, 1, size, 2, Architecture(generator=stack))
    assert network[1].unflattened_size == (4, size // 4, size // 4)


@pytest.mark.parametrize("size", MISFITS)
def test_no_network_is_built_for_another_size(size: int) -> None:
    for name in ("paper", "keras", "upsample"):
        architecture = Architecture.model_validate({"generator": name, "discriminator": name})
        with pytest.raises(ValueError, match=f"a multiple of 4 from 16 to 128, got {size}$"):
            networks.generator(1, 1, size, 1, architecture)
        with pytest.raises(ValueError, match=f"a multiple of 4 from 16 to 128, got {size}$"):
            networks.discriminator(1, size, 1, True, architecture)


def test_images_that_are_not_square_are_an_error() -> None:
    with pytest.raises(ValueError, match="images must be square, got 32×28"):
        Gan(Config(), (1, 28, 32), torch.device("cpu"))


# The scaling.


def test_images_are_cropped_to_the_square_in_their_middle() -> None:
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, 10:30] = 255
    for picture in (pixels, pixels.swapaxes(0, 1)):
        for size in (10, 20, 80):
            drawn = np.asarray(fit_square(Image.fromarray(picture), size))
            assert drawn.shape == (size, size, 3)
            assert drawn.min() == 255


def test_a_square_of_the_right_size_keeps_its_pixels() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    drawn = np.asarray(fit_square(Image.fromarray(pixels), 16))
    np.testing.assert_array_equal(drawn, pixels[:, 2:18])


def test_images_are_scaled_by_lanczos_resampling() -> None:
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (28, 28), dtype=np.uint8))
    expected = picture.resize((64, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(fit_square(picture, 64)), np.asarray(expected))


def test_a_whole_set_is_scaled_image_by_image() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    grown = resize(pixels, 32)
    assert (grown.shape, grown.dtype) == ((3, 1, 32, 32), np.uint8)
    for one, image in zip(grown, pixels, strict=True):
        expected = np.asarray(fit_square(Image.fromarray(image[0]), 32))
        np.testing.assert_array_equal(one[0], expected)
    assert resize(pixels, 28) is pixels


# From the flag to the samples.


@pytest.fixture
def write(tmp_path: Path) -> Callable[[int, int], Path]:
    """Writes a data set of six random images of a shape; returns its folder."""

    def written(height: int, width: int) -> Path:
        return tiny_run.write_data(tmp_path / "data", 6, height, width)

    return written


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., int]:
    """Trains for one step of six images with tiny networks."""

    def ran(data: Path, *flags: str) -> int:
        tiny = "--epochs 1 --batch-size 6 --generator-filters 1 --discriminator-filters 1"
        place = ["--out", str(tmp_path / "run"), "--data-dir", str(data), "--device", "cpu"]
        return main(["fit", *place, *tiny.split(), "--latent-dim", "2", "--threads", "1", *flags])

    return ran


def no_notice(*_: object) -> None:
    """Discards progress and warnings."""


@pytest.mark.parametrize(
    ("flags", "size"),
    [
        ({}, 28),
        ({"image_size": "16"}, 16),
        ({"image_size": "36"}, 36),
        ({"preset": "keras-28"}, 28),
        ({"preset": "upsample-28", "image_size": "20"}, 20),
        ({"preset": "dcgan-64"}, 64),
        ({"preset": "paper-64", "image_size": "28"}, 28),
    ],
)
def test_the_flag_decides_the_size_then_the_preset_then_the_data(
    write: Callable[[int, int], Path], flags: dict[str, str], size: int
) -> None:
    config = from_flags({**flags, "data_dir": write(28, 28)})
    assert datasets.load(config, no_notice, no_notice).pixels.shape == (6, 1, size, size)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (30, 30), (28, 32), (132, 132)])
def test_images_of_an_unsupported_size_must_be_scaled(
    write: Callable[[int, int], Path],
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    height: int,
    width: int,
) -> None:
    data = write(height, width)
    assert run(data) == 1
    output = capsys.readouterr().err
    for part in (f"{width}×{height}", "--image-size", "a multiple of 4 from 16 to 128"):
        assert part in output
    assert not (tmp_path / "run").exists()
    config = Config(image_size=16, data_dir=data)
    assert datasets.load(config, no_notice, no_notice).pixels.shape == (6, 1, 16, 16)


def test_a_resumed_run_keeps_its_size(
    write: Callable[[int, int], Path], run: Callable[..., int], tmp_path: Path
) -> None:
    data, folder = write(28, 28), Run(tmp_path / "run")
    assert run(data, "--image-size", "36") == 0
    assert run(data, "--resume", "--epochs", "2") == 0
    assert folder.data().shape == (1, 36, 36)
    assert len(folder.epochs()) == 2
    with Image.open(folder.samples(2)) as sheet:
        assert sheet.size == (8 * 36, 10 * 36)  # a row for each class
