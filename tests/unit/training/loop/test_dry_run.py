"""``fit --dry-run``: what it says, that it writes nothing, and how it measures."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from training.__main__ import main
from training.gan.gan import Gan
from training.gan.networks import discriminator
from training.image_size import ImageSize
from training.loop import preview
from training.loop.banner import Start
from training.loop.network_table import Layer, layers, table
from training.loop.tensor_memory import TensorMemory
from training.loop.threads import Threads
from training.loop.trial import NetworkSize, Trial
from training.run.journal import DataSummary, Run

Fit = Callable[..., int]
MakeGan = Callable[..., Gan]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dry_run_describes_the_run_and_writes_nothing(
    fit: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "runs" / "new", "--dry-run", "--generator", "paper") == 0
    assert not list(tmp_path.iterdir())
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert "data          fashion-mnist: 40 grey images of 16×16" in lines
    assert "length        10 steps of 8 images, 2 epochs" in lines
    assert " per epoch, at " in output
    assert "memory        0.0 MB for the images, " in output
    # A dense layer from 4 latents to 4 channels of 4×4, doubled twice to one channel of 16×16.
    assert [line.split() for line in lines[lines.index("") + 1 :]][:8] == [
        ["generator", "output", "parameters", "MFLOP"],
        ["Linear", "64", "256", "0.00"],
        ["Unflatten", "4×4×4", "0", "0.00"],
        ["BatchNorm2d", "4×4×4", "8", "0.00"],
        ["ConvTranspose2d", "2×8×8", "128", "0.00"],
        ["BatchNorm2d", "2×8×8", "4", "0.00"],
        ["ConvTranspose2d", "1×16×16", "33", "0.00"],
        ["total", "429", "0.01"],
    ]


def test_a_dry_run_of_a_folder_counts_what_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    for number in range(20):
        place = tmp_path / "pictures" / ("cats" if number % 2 else "dogs")
        place.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    (tmp_path / "pictures" / "cats" / "broken.png").write_text("no image")
    before = contents(tmp_path)
    call = ["fit", f"--dataset=folder:{tmp_path}/pictures", "--image-size=16", "--batch-size=8"]
    small = ["--generator-filters=2", "--discriminator-filters=2", "--threads=1", "--device=cpu"]
    assert main([*call, *small, f"--out={tmp_path}/run", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "folder:pictures: 21 found, 20 used, 1 skipped"
    assert lines[1].split()[:2] == ["1", "skipped:"]
    assert lines[1].endswith("(broken.png)")
    assert "      10 of class cats" in lines
    assert "labels        2 classes: cats, dogs" in lines
    assert contents(tmp_path) == before


def test_a_dry_run_of_a_run_that_continues_leaves_it_as_it_is(
    fit: Fit, finished_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(finished_run)
    assert fit(finished_run, "--resume", "--epochs", 3, "--dry-run") == 0
    assert "3 epochs; 10 steps are done" in capsys.readouterr().out
    assert contents(finished_run) == before


def test_a_dry_run_finds_the_errors_of_the_run(
    fit: Fit, finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(finished_run, "--dry-run") == 1
    assert "continue it with --resume" in capsys.readouterr().err
    assert fit(tmp_path / "run", "--init-from", tmp_path / "missing", "--dry-run") == 1
    assert str(tmp_path / "missing") in capsys.readouterr().err
    assert fit(tmp_path / "run", "--score-every", 1, "--dry-run") == 1
    assert "no feature network" in capsys.readouterr().err


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_the_layers_of_a_network(spectral_norm: bool) -> None:
    network = discriminator(3, ImageSize.square(16), 4, spectral_norm)
    found = layers(network, torch.zeros(1, 3, 16, 16))
    assert [layer._replace(mflop=0) for layer in found] == [
        Layer("Conv2d", (4, 8, 8), 4 * 3 * 16 + 4, 0),
        Layer("Conv2d", (8, 4, 4), 8 * 4 * 16 + 8, 0),
        Layer("Conv2d", (16, 4, 4), 16 * 8 * 9 + 16, 0),
        Layer("Flatten", (256,), 0, 0),
        Layer("Linear", (1,), 257, 0),
    ]
    multiplied = [64 * 4 * 3 * 16, 16 * 8 * 4 * 16, 16 * 16 * 8 * 9, 0, 256]
    assert [layer.mflop for layer in found] == pytest.approx([2 * n / 1e6 for n in multiplied])


def test_the_totals_are_those_of_the_layers() -> None:
    rows = [Layer("Linear", (12,), 1_200, 1.25), Layer("Unflatten", (3, 2, 2), 34, 0.5)]
    *_, last = table("generator", rows)
    assert last.split() == ["total", "1,234", "1.75"]


def test_the_memory_of_a_large_step_is_estimated_from_small_ones(make_gan: MakeGan) -> None:
    options = make_gan(batch_size=16, r1_gamma=1).config
    data = DataSummary(name="x", licence="x", images=99, channels=1, height=96, width=96)
    start = Start(Run(Path("x")), options, data, torch.device("cpu"), Threads(1))
    tried = Trial(NetworkSize(1, 1.0), NetworkSize(1, 1.0), 1.0)
    measured, estimated = (
        next(iter(preview.lines(start, tried._replace(images=images), 1))) for images in (0, 8)
    )
    assert " (estimated from steps of 2 and 4 images); " in estimated
    found = [float(re.findall(r"([\d.]+) MB", line)[1]) for line in (measured, estimated)]
    assert found[1] == pytest.approx(found[0], rel=0.05)


def test_memory_is_counted_while_tensors_live() -> None:
    given = torch.ones(250)
    with TensorMemory([given]) as memory:
        assert memory.live == 1_000
        doubled = given * 2
        view = doubled.view(10, 25).add_(1)
        given.mul_(2)
        assert (memory.live, memory.peak) == (2_000, 2_000)
        del doubled, view
        assert (memory.live, memory.peak) == (1_000, 2_000)


def test_memory_contains_what_autograd_keeps() -> None:
    inputs = torch.ones(250, requires_grad=True)
    with TensorMemory([inputs]) as memory:
        result = inputs.exp().exp().exp()
        assert memory.live == 4_000
        result.backward(torch.ones(250))
        # The gradient of the inputs, their result and the inputs.
        assert memory.live == 3_000


def test_the_memory_of_a_step_contains_weights_gradients_and_moments(
    make_gan: Callable[..., Gan],
) -> None:
    gan = make_gan()
    weights: list[nn.Parameter] = [*gan.generator.parameters(), *gan.discriminator.parameters()]
    with TensorMemory(weights) as memory:
        for _ in range(2):
            gan.update(torch.zeros(4, 1, 16, 16, dtype=torch.uint8), False)
    trained = sum(parameter.nbytes for parameter in weights)
    assert memory.peak > 4 * trained
