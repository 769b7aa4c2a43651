import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from app.latent import sampling
from training.config import Config
from training.data.images import ImageSet
from training.errors import RunError
from training.gan import networks
from training.gan.pixels import to_pixels
from training.image_size import ImageSize
from training.run import samples
from training.run.journal import DataSummary, Run
from training.run.report import Report

DATA = DataSummary(name="greys", licence="none", images=9, channels=3, height=16, width=20)


def report(epoch: int) -> Report:
    return Report(epoch, 5 * epoch, True, 1.5, -0.5, 0.75, 0.25, 123.4)


def test_the_data_summary_describes_the_images() -> None:
    pixels = np.zeros((9, 3, 16, 20), dtype=np.uint8)
    assert DataSummary.of(ImageSet("greys", "none", pixels)) == DATA
    assert DATA.shape == (3, 16, 20)


def test_a_new_run_has_its_options_and_data(tmp_path: Path) -> None:
    run = Run(tmp_path / "deep" / "run")
    config = Config(seed=7, data_dir=tmp_path, prior="uniform", spectral_norm=False)
    run.create(config, DATA)
    assert run.config() == config
    assert run.data() == DATA
    assert run.epochs() == []


def test_a_folder_with_a_run_is_an_error(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.create(Config(seed=1), DATA)
    with pytest.raises(RunError, match="--resume") as caught:
        run.create(Config(seed=2), DATA)
    assert str(tmp_path) in str(caught.value)
    assert run.config().seed == 1


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_an_unwritable_folder_is_an_error_with_its_path(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written") as caught:
        Run(tmp_path / place).create(Config(), DATA)
    assert str(tmp_path / place) in str(caught.value)


@pytest.mark.parametrize("name", ["options.json", "data.json"])
@pytest.mark.parametrize(
    "content", [None, "", '{"epochs": ', "[]", '{"colour": "blue"}', '{"epochs": 0, "images": "x"}']
)
def test_a_missing_or_damaged_file_is_an_error_with_its_path(
    tmp_path: Path, name: str, content: str | None
) -> None:
    run = Run(tmp_path)
    run.create(Config(), DATA)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(RunError) as caught:
        run.config() if name == "options.json" else run.data()
    is_run = content is not None or name != "options.json"
    assert (str(tmp_path / name) if is_run else f"no run in {tmp_path};") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damaged", ["garbage", "[1]", "3", "\xff"])
def test_a_damaged_line_is_an_error_with_its_path_and_number(tmp_path: Path, damaged: str) -> None:
    run = Run(tmp_path)
    run.metrics.write_text(f'{{"step": 5}}\n{damaged}\n')
    with pytest.raises(RunError, match="line 2 is damaged") as caught:
        run.epochs()
    assert str(run.metrics) in str(caught.value)
    (tmp_path / "trackers.json").write_text(damaged)
    with pytest.raises(RunError, match=r"trackers\.json: line 1 is damaged"):
        run.tracker_runs()


def test_an_epochs_line_has_its_report(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for epoch in (1, 2):
        run.write_epoch(report(epoch), 1.23456, "a device")
    first, second = run.epochs()
    assert first == {
        "epoch": 1,
        "step": 5,
        "discriminator_loss": 1.5,
        "generator_loss": -0.5,
        "accuracy_real": 0.75,
        "accuracy_fake": 0.25,
        "images_per_second": 123.4,
        "seconds": 1.23,
        "device": "a device",
    }
    assert second["epoch"] == 2
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [first, second]


def test_an_epochs_line_has_the_probability_of_adaptive_augmentation(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_epoch(replace(report(1), augment_probability=0.25), 1, "a device")
    assert run.epochs()[0]["augment_probability"] == 0.25


@pytest.mark.parametrize(("step", "kept"), [(0, 0), (9, 1), (10, 2), (15, 3), (99, 3)])
def test_rewinding_removes_the_epochs_after_a_step(tmp_path: Path, step: int, kept: int) -> None:
    run = Run(tmp_path)
    for epoch in (1, 2, 3):
        run.write_epoch(report(epoch), 1, "a device")
    before = run.epochs()
    run.rewind(step)
    assert run.epochs() == before[:kept]
    run.write_epoch(report(kept + 1), 1, "a device")
    assert len(run.epochs()) == kept + 1


def test_rewinding_removes_the_samples_after_a_step(tmp_path: Path) -> None:
    run = Run(tmp_path)
    names = ["epoch-001.png", "epoch-003.png", "epoch-1000.png", "epoch-mine.png"]
    (tmp_path / "samples").mkdir()
    for name in names:
        (tmp_path / "samples" / name).touch()
    for epoch in (1, 2, 3):
        run.write_epoch(report(epoch), 1, "a device")
    assert list(run.sheets()) == [1, 3, 1000]
    run.rewind(10)
    assert list(run.sheets()) == [1]
    assert (tmp_path / "samples" / "epoch-mine.png").exists()


def test_rewinding_a_run_without_epochs_writes_no_file(tmp_path: Path) -> None:
    Run(tmp_path).rewind(0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_the_sample_grid_shows_the_first_64_seeds_row_by_row(
    tmp_path: Path, channels: int, mode: str
) -> None:
    torch.manual_seed(0)
    generator = networks.generator(4, channels, ImageSize.square(16), 2).eval()
    samples.write(Run(tmp_path), generator, Config(latent_dim=4, prior="uniform"), None, 7)
    picture = Image.open(io.BytesIO((tmp_path / "samples" / "epoch-007.png").read_bytes()))
    assert (picture.format, picture.mode, picture.size) == ("PNG", mode, (128, 128))
    z = torch.from_numpy(sampling.from_seeds(range(64), 4, "uniform"))
    grid = np.asarray(picture).reshape(8, 16, 8, 16, channels).swapaxes(1, 2)
    np.testing.assert_array_equal(
        grid.reshape(64, 16, 16, channels), to_pixels(generator, z), strict=True
    )
