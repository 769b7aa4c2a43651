from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import nn

from app.artifact import card
from tests import tiny_run
from training.__main__ import main
from training.config import Architecture, Config, from_flags
from training.data import datasets
from training.data.images import fit_centre, resize
from training.gan import networks
from training.image_size import ImageSize, parsed
from training.run.journal import Run

SIZES = ["16", "20", "28", "32", "36", "60", "64", "100", "124", "128", "192", "252", "256"]
SIZES += ["64x96", "96x64", "16x256", "28x64", "20x36"]
"""Powers of two, their neighbours, other multiples of powers of two, and sizes of two numbers."""
MISFITS = ["-16", "0", "4", "12", "15", "17", "18", "30", "126", "258", "260"]
MISFITS += ["64x", "64x30", "12x64", "64x96x3", "64.0", "large"]
ALLOWED = (
    "a multiple of 4 from 16 to 256, or two as WIDTHxHEIGHT, such as 64x96 for 64 wide and 96 high"
)


# The option.


def test_every_multiple_of_four_in_range_is_accepted() -> None:
    for side in range(16, 257, 4):
        for given in (side, str(side), f"{side}x{side}", ImageSize.square(side)):
            assert from_flags({"image_size": given}).image_size == ImageSize(side, side)


@pytest.mark.parametrize("text", ["64x96", "64×96"])
def test_the_width_comes_first(text: str) -> None:
    size = from_flags({"image_size": text}).image_size
    assert size is not None
    assert (size.width, size.height) == (64, 96)
    assert size == ImageSize.of_shape((3, 96, 64))


@pytest.mark.parametrize(("given", "plain"), [("64x96", "64x96"), ("64", 64), ("28x28", 28)])
def test_a_size_is_written_as_text_and_that_of_a_square_as_a_number(
    given: str, plain: int | str
) -> None:
    config = from_flags({"image_size": given})
    assert str(config.image_size) == str(plain)
    assert config.model_dump()["image_size"] == plain
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("size", MISFITS)
def test_any_other_size_is_an_error_that_says_what_is_allowed(
    size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError, match=f"must be {ALLOWED}"):
        Config(image_size=size)
    assert main(["fit", "--out", str(tmp_path / "run"), f"--image-size={size}"]) == 2
    assert capsys.readouterr().err == f"error: --image-size {size}: must be {ALLOWED}\n"


# The networks.


@pytest.mark.parametrize("size", SIZES)
def test_every_generator_is_built_for_every_size(size: str) -> None:
    torch.manual_seed(0)
    width, height = parsed(size)
    stacks: list[tuple[Any, int]]
    stacks = [("paper", 1), ("paper", 3), ("keras", 1), ("upsample", 3), ("lean", 3)]
    for stack, channels in stacks:
        network = networks.generator(3, channels, parsed(size), 1, Architecture(generator=stack))
        images = network(100 * torch.randn(2, 3))
        assert images.shape == (2, channels, height, width), stack
        assert images.abs().max() <= 1, stack


@pytest.mark.parametrize("size", SIZES)
def test_every_discriminator_is_built_for_every_size(size: str) -> None:
    torch.manual_seed(0)
    width, height = parsed(size)
    stacks: list[tuple[Any, bool]]
    stacks = [("paper", True), ("paper", False), ("deeper", False), ("keras", True)]
    for stack, spectral_norm in [*stacks, ("upsample", False)]:
        architecture = Architecture(discriminator=stack)
        network = networks.discriminator(3, parsed(size), 1, spectral_norm, architecture)
        logits = network(torch.rand(2, 3, height, width))
        assert logits.shape == (2, 1), stack
        assert logits.isfinite().all(), stack


@pytest.mark.parametrize("stack", ["keras", "upsample"])
def test_the_keras_and_upsample_stacks_begin_at_a_quarter_of_the_size(stack: Any) -> None:
    for size in map(parsed, SIZES):
        network = networks.generator(3, 1, size, 2, Architecture(generator=stack))
        assert network[1].unflattened_size == (4, size.height // 4, size.width // 4)


@pytest.mark.parametrize("size", [(30, 30), (260, 260), (0, 0), (64, 30), (12, 64)])
def test_no_network_is_built_for_another_size(size: tuple[int, int]) -> None:
    wanted = ImageSize(*size)
    for name in ("paper", "keras", "upsample"):
        architecture = Architecture.model_validate({"generator": name, "discriminator": name})
        with pytest.raises(ValueError, match=f"{ALLOWED}, got {wanted}$"):
            networks.generator(1, 1, wanted, 1, architecture)
        with pytest.raises(ValueError, match=f"{ALLOWED}, got {wanted}$"):
            networks.discriminator(1, wanted, 1, True, architecture)


def test_maps_of_large_images_have_at_most_sixteen_times_the_channels_of_the_largest() -> None:
    def channels(network: nn.Sequential) -> list[int]:
        convolutions = nn.Conv2d | nn.ConvTranspose2d
        return [layer.out_channels for layer in network if isinstance(layer, convolutions)]

    for side, halved in ((128, [1, 2, 4, 8, 16]), (256, [1, 2, 4, 8, 16, 16])):
        size, paper = ImageSize.square(side), Architecture(generator="paper", discriminator="paper")
        generator = networks.generator(2, 3, size, 1, paper)
        assert channels(generator) == [*halved[-2::-1], 3]
        assert channels(networks.discriminator(3, size, 1, False, paper)) == halved
        deeper = Architecture(discriminator="deeper")
        assert channels(networks.discriminator(3, size, 1, False, deeper)) == [*halved, 32]


# The scaling.


def test_images_are_cropped_to_the_square_in_their_middle() -> None:
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, 10:30] = 255
    for picture in (pixels, pixels.swapaxes(0, 1)):
        for size in (10, 20, 80):
            drawn = np.asarray(fit_centre(Image.fromarray(picture), ImageSize.square(size)))
            assert drawn.shape == (size, size, 3)
            assert drawn.min() == 255


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((16, 16), slice(None), slice(2, 18)),
        ((20, 8), slice(4, 12), slice(None)),
        ((8, 16), slice(None), slice(6, 14)),
    ],
)
def test_the_centre_of_the_right_size_keeps_its_pixels(
    size: tuple[int, int], rows: slice, columns: slice
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    drawn = np.asarray(fit_centre(Image.fromarray(pixels), ImageSize(*size)))
    np.testing.assert_array_equal(drawn, pixels[rows, columns])


def test_images_are_scaled_by_lanczos_resampling() -> None:
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (28, 28), dtype=np.uint8))
    expected = picture.resize((64, 64), Image.Resampling.LANCZOS)
    fitted = np.asarray(fit_centre(picture, ImageSize.square(64)))
    np.testing.assert_array_equal(fitted, np.asarray(expected))


def test_a_whole_set_is_scaled_image_by_image() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    grown = resize(pixels, ImageSize(20, 32))
    assert (grown.shape, grown.dtype) == ((3, 1, 32, 20), np.uint8)
    for one, image in zip(grown, pixels, strict=True):
        expected = np.asarray(fit_centre(Image.fromarray(image[0]), ImageSize(20, 32)))
        np.testing.assert_array_equal(one[0], expected)
    assert resize(pixels, ImageSize.square(28)) is pixels


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
        ({}, "28"),
        ({"image_size": "16"}, "16"),
        ({"image_size": "36"}, "36"),
        ({"image_size": "20x36"}, "20x36"),
        ({"preset": "keras-28"}, "28"),
        ({"preset": "upsample-28", "image_size": "20"}, "20"),
        ({"preset": "dcgan-64"}, "64"),
        ({"preset": "paper-64", "image_size": "28"}, "28"),
    ],
)
def test_the_flag_decides_the_size_then_the_preset_then_the_data(
    write: Callable[[int, int], Path], flags: dict[str, str], size: str
) -> None:
    config = from_flags({**flags, "data_dir": write(28, 28)})
    width, height = parsed(size)
    assert datasets.load(config, no_notice, no_notice).pixels.shape == (6, 1, height, width)


def test_images_of_any_supported_size_need_no_flag(write: Callable[[int, int], Path]) -> None:
    config = Config(data_dir=write(28, 32))
    assert datasets.load(config, no_notice, no_notice).pixels.shape == (6, 1, 28, 32)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (30, 30), (28, 33), (260, 260)])
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
    for part in (f"{width}×{height}", "--image-size", ALLOWED):
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


# Runs on a folder of images.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 colour images, 120 wide and 90 high, each brighter from left to right."""
    folder = tmp_path_factory.mktemp("pictures")
    random, ramp = np.random.default_rng(0), np.linspace(0, 200, 120)[None, :, None]
    for number in range(24):
        pixels = ramp + random.integers(0, 56, (90, 1, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def fit_size(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Path]:
    """Trains for two steps with a preset's layers, but few filters; returns the folder."""
    monkeypatch.setattr("training.gan.gan.CALIBRATION_SEEDS", 64)

    def fitted(size: str, preset: str) -> Path:
        run = tmp_path / "run"
        call = ["fit", f"--out={run}", f"--dataset=folder:{pictures}", f"--preset={preset}"]
        few = "--epochs=1 --batch-size=12 --generator-filters=1 --discriminator-filters=1"
        on_cpu = ["--device=cpu", "--threads=1"]
        assert main([*call, f"--image-size={size}", *few.split(), *on_cpu]) == 0
        return run

    return fitted


@pytest.mark.parametrize(
    ("size", "preset"), [("16", "dcgan-64"), ("100", "dcgan-64"), ("24x36", "dcgan-28")]
)
def test_a_run_of_any_size_has_samples_and_an_exported_graph(
    size: str, preset: str, fit_size: Callable[[str, str], Path], tmp_path: Path
) -> None:
    width, height = parsed(size)
    run = fit_size(size, preset)
    assert Run(run).data().shape == (3, height, width)
    with Image.open(Run(run).samples(1)) as sheet:
        assert sheet.size == (8 * width, 8 * height)
    assert main(["export", str(run), "--name=any", "--version=1", f"--models={tmp_path}"]) == 0
    assert card.read(tmp_path / "any" / "1").image.shape == (height, width, 3)


def test_figures_of_images_that_are_not_square(fit_size: Callable[[str, str], Path]) -> None:
    run = fit_size("32x48", "dcgan-64")
    assert main(["figures", str(run), "--scale=1", "--device=cpu"]) == 0
    with Image.open(run / "figures" / "walk.png") as walk:
        assert walk.size == (10 * 32 + 9, 8 * 48 + 7)
    with Image.open(run / "figures" / "arithmetic.png") as sums:
        assert sums.size == (3 * (68 + 28) + 3 * 32 + 2, 20 + 3 * 48 + 2 + 14 + 48)
        # The frame is around the image in the middle of the result.
        orange = (np.asarray(sums) == (0xD5, 0x5E, 0)).all(axis=2)
        rows, columns = (np.flatnonzero(orange.any(axis=axis)) for axis in (1, 0))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (48 + 2, 32 + 2)
