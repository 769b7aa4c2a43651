"""``features``, ``fit --score-every`` and ``evaluate`` on a folder of images."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from app.imaging import png
from training.__main__ import main
from training.config import Config
from training.data import datasets, held_out
from training.errors import EvaluationError
from training.evaluation import (
    distances,
    feature_check,
    feature_file,
    features,
    references,
    rotations,
)
from training.evaluation.features import FEATURES
from training.evaluation.records import EvaluationRecord
from training.run.journal import Run

COUNT, SIZE = 520, 16
CPU = ["--device=cpu"]
Images = NDArray[np.uint8]


def drawn(count: int, seed: int = 0) -> Images:
    """Grey images ``(count, 1, SIZE, SIZE)``: a square, in the left half of every second one.

    The ground is lighter than the sky.
    """
    random = np.random.default_rng(seed)
    images = random.integers(0, 20, (count, 1, SIZE, SIZE), dtype=np.uint8)
    images[:, :, -3:] += 40
    for number, image in enumerate(images):
        top, left, side = random.integers((0, 0, 3), (10, 3, 6))
        left += 8 * (number % 2)
        image[0, top : top + side, left : left + side] += random.integers(100, 200, dtype=np.uint8)
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the classes left and right, beside which its feature network is."""
    place = tmp_path_factory.mktemp("data") / "squares"
    for number, image in enumerate(drawn(COUNT)):
        path = place / ("Left", "Right")[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png.encode(image.transpose(1, 2, 0)))
    return place


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A folder with half as many of these images, for tests that train another network."""
    place = Path(shutil.copytree(folder, tmp_path_factory.mktemp("data") / "few"))
    for path in sorted(place.glob("*/*.png"))[::2]:
        path.unlink()
    return place


@pytest.fixture(scope="module")
def network_file(folder: Path) -> Path:
    flags = [f"--dataset=folder:{folder}", f"--image-size={SIZE}", "--epochs=6", *CPU]
    assert main(["features", *flags]) == 0
    return folder.with_name("squares-features.pt")


def fit(out: Path, folder: Path, *flags: str) -> int:
    tiny = {"batch-size": 50, "latent-dim": 8, "generator-filters": 2, "discriminator-filters": 2}
    call = [f"--{flag}={value}" for flag, value in tiny.items()]
    call += [f"--dataset=folder:{folder}", f"--image-size={SIZE}", "--epochs=2", "--threads=1"]
    return main(["fit", f"--out={out}", *call, *CPU, *flags])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, folder: Path, network_file: Path) -> Path:
    """A tiny run of the folder, scored once, with test images, and evaluated. Read-only."""
    assert network_file.exists()
    out = tmp_path_factory.mktemp("runs") / "squares"
    assert fit(out, folder, "--score-every=2", "--test-share=0.2") == 0
    assert main(["evaluate", str(out), *CPU]) == 0
    return out


def record_of(run: Path) -> EvaluationRecord:
    found = EvaluationRecord.read(Run(run).evaluation)
    assert found
    return found


# Rotations.


def test_images_are_turned_by_what_is_said() -> None:
    torch.manual_seed(0)
    images = torch.zeros(60, 1, 8, 8)
    images[:, :, 0, 0] = 1  # a shift by at most one pixel keeps it in its corner
    turned, turns = rotations.rotated(images)
    assert turned.shape == images.shape
    corners = torch.stack(
        [turned[:, 0, :4, :4], turned[:, 0, 4:, :4], turned[:, 0, 4:, 4:], turned[:, 0, :4, 4:]]
    ).sum(dim=(2, 3))  # anticlockwise
    moved = corners.sum(dim=0) > 0  # the others were shifted out of the image
    assert corners.argmax(dim=0)[moved].equal(turns[moved])
    assert turns.bincount().tolist() == pytest.approx([15] * 4, abs=8)


def test_images_that_are_not_square_are_turned_by_half_turns() -> None:
    torch.manual_seed(0)
    images = torch.zeros(60, 1, 8, 16)
    images[:, :, 0, 0] = 1
    turned, turns = rotations.rotated(images)
    assert turned.shape == images.shape
    assert sorted(turns.unique().tolist()) == [0, 2]
    upper, lower = turned[:, 0, :4, :8].sum(dim=(1, 2)), turned[:, 0, 4:, 8:].sum(dim=(1, 2))
    moved = upper + lower > 0  # the others were shifted out of the image
    assert (upper > 0)[moved].equal((turns == 0)[moved])


# The check.


def test_noise_has_its_deviation_and_blur_its_sum() -> None:
    grey = np.full((2, 3, 64, 64), 128, np.uint8)
    noise = feature_check.noisy(grey).astype(float) - 128
    assert noise.std() == pytest.approx(25, rel=0.02)
    np.testing.assert_array_equal(feature_check.blurred(grey), grey)
    point = np.zeros((1, 1, 9, 9), np.uint8)
    point[0, 0, 4, 4] = 255
    spread = feature_check.blurred(point)
    assert spread[0, 0, 4, 4] < 60
    assert spread.sum() == pytest.approx(255, rel=0.1)


@pytest.mark.parametrize("count", [100, 7])
def test_a_collapsed_generator_repeats_a_tenth(count: int) -> None:
    images = drawn(count)
    few = feature_check.collapsed(images)
    assert few.shape == images.shape
    assert len({image.tobytes() for image in few}) == math.ceil(count / 10)


def test_what_is_not_seen_is_named() -> None:
    found = {feature_check.REAL: 2.0, "with noise": 3.9, "blurred": 4.0}
    *lines, warning = feature_check.table(found)
    assert [line.split()[-2:] for line in lines[1:]] == [["2", "1.0"], ["3.9", "1.9"], ["4", "2.0"]]
    assert "hardly tell with noise from real images" in warning
    assert len([*feature_check.table({**found, "with noise": 4.1})]) == 4


# The network of a folder.


def test_the_file_says_what_it_is_for(network_file: Path, folder: Path) -> None:
    spec, network, about = feature_file.read(network_file)
    assert (spec.dataset, spec.image_shape) == ("folder:squares", (1, SIZE, SIZE))
    assert spec.names == about.classes == ("left", "right")
    assert spec.sha256 == hashlib.sha256(network_file.read_bytes()).hexdigest()
    assert spec.path == network_file
    assert spec.accuracy is not None
    assert spec.accuracy > 0.95
    assert about.images == COUNT - round(held_out.MAX_TEST_SHARE * COUNT)
    assert about.steps == 6 * about.images // 128
    images = datasets.load(Config(dataset=f"folder:{folder}", image_size=SIZE), quiet, quiet)
    found = features.extract(network, images.pixels, spec)
    assert found.features.shape == (COUNT, FEATURES)
    assert images.labels
    assert (found.labels == images.labels.values).mean() > 0.95


def test_the_features_tell_real_images_from_others(network_file: Path) -> None:
    distance = feature_file.read(network_file)[2].distances
    real = distance[feature_check.REAL]
    assert all(distance[name] > 2 * real for name in distance if name != feature_check.REAL)


def test_images_of_one_class_are_told_apart(network_file: Path) -> None:
    """A network that knew nothing but the two classes would see one image in place of all."""
    spec, network, _ = feature_file.read(network_file)
    left, others = drawn(400, seed=1)[::2], drawn(400, seed=2)[::2]
    same, few = (
        distances.frechet(*(features.extract(network, each, spec).features for each in pair))
        for pair in ((left, others), (left, np.repeat(others[:10], 20, axis=0)))
    )
    assert few > 2 * same


def test_without_classes_images_alone_are_learned(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "network.pt"
    flags = [f"--dataset=folder:{few}", f"--image-size={SIZE}", "--conditional=none", *CPU]
    assert main(["features", *flags, "--epochs=1", f"--out={out}"]) == 0
    spec, network, about = feature_file.read(out)
    assert (spec.names, spec.accuracy, about.accuracy) == ((), None, None)
    found = features.extract(network, drawn(5), spec)
    assert (found.features.shape, found.labels.shape) == ((5, FEATURES), (5, 0))


@pytest.mark.parametrize(
    ("size", "positions"), [(28, 16), (64, 16), (100, 16), (128, 16), (256, 16)]
)
def test_larger_images_have_more_blocks(size: int, positions: int) -> None:
    network = features.build((3, size, size), 5).eval()
    linear = next(m for m in network.modules() if isinstance(m, torch.nn.Linear))
    assert linear.in_features == 128 * positions
    assert network(torch.zeros(1, 3, size, size)).shape == (1, 5)


def quiet(*_: object) -> None:
    pass


# Scores and evaluation.


def test_a_run_is_scored_by_its_own_copy_of_the_network(run: Path, network_file: Path) -> None:
    assert [line.get("fd_cnn") is not None for line in Run(run).epochs()] == [False, True]
    assert Run(run).features.read_bytes() == network_file.read_bytes()
    assert Run(run).best_checkpoint.exists()


def test_a_resumed_run_keeps_its_network(
    run: Path, network_file: Path, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    before = Run(tmp_path / "run").features.read_bytes()
    flags = ["--resume", "--epochs=3", f"--features={tmp_path / 'nothing.pt'}"]
    assert fit(tmp_path / "run", folder, "--test-share=0.2", "--score-every=2", *flags) == 0
    assert "fd_cnn" in Run(tmp_path / "run").epochs()[-1]
    assert Run(tmp_path / "run").features.read_bytes() == before == network_file.read_bytes()


def test_a_run_is_measured_on_its_test_images(run: Path, network_file: Path) -> None:
    found = record_of(run)
    test = round(0.2 * COUNT)
    assert (found.training_images, found.test_images) == (COUNT - test, test)
    assert (found.samples, found.reference) == ((COUNT - test) // 2, "test images")
    assert found.feature_network.sha256 == hashlib.sha256(network_file.read_bytes()).hexdigest()
    assert found.feature_network.accuracy == feature_file.read(network_file)[0].accuracy
    assert {"fd_cnn", "recall", "copies", "class_agreement", "class_kl"} <= found.metrics.keys()
    floor = found.metrics["fd_cnn"].floor
    assert floor is not None
    assert found.metrics["fd_cnn"].value > 3 * floor
    assert f"to {test} test images on the 64 features of features.pt" in (
        found.metrics["fd_cnn"].protocol
    )
    assert found.class_shares.keys() == {"left", "right"}


def test_a_published_version_is_measured_on_the_same_images(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    models = ["--models", str(tmp_path)]
    assert main(["export", str(run), "--name", "squares", "--version", "1", *models]) == 0
    version, out = tmp_path / "squares" / "1", tmp_path / "record.json"
    card = json.loads((version / "card.json").read_text())
    assert card["metrics"]["fd_cnn"]["value"] == record_of(run).metrics["fd_cnn"].value
    assert str(folder) not in (version / "card.json").read_text()
    flags = [f"--data-dir={folder}", f"--out={out}", *CPU]
    assert main(["evaluate", str(version), *flags]) == 0
    found, expected = EvaluationRecord.read(out), record_of(run)
    assert found
    assert found.test_images == expected.test_images
    # Pixels of the graph may differ by one grey level.
    value, same = (each.metrics["fd_cnn"].value for each in (found, expected))
    assert value == pytest.approx(same, rel=0.01)


def test_without_test_images_the_network_has_not_seen_the_reference(
    folder: Path, network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", folder, "--conditional=none") == 0
    capsys.readouterr()
    flags = [f"--features={network_file}", "--samples=110", *CPU]
    assert main(["evaluate", str(tmp_path / "run"), *flags]) == 0
    found = record_of(tmp_path / "run")
    kept = round(held_out.MAX_TEST_SHARE * COUNT)
    assert (found.samples, found.training_images, found.test_images) == (110, COUNT - kept, kept)
    assert found.reference == references.KEPT_IMAGES
    title = f"110 images against {kept} training images kept from the feature network"
    assert title in capsys.readouterr().out
    for metric in found.metrics.values():
        assert "test images" not in metric.protocol + metric.real
    assert "class_agreement" not in found.metrics


def test_images_that_are_not_square_are_measured_too(few: Path, tmp_path: Path) -> None:
    size, file = "--image-size=16x24", tmp_path / "oblong.pt"
    flags = [f"--dataset=folder:{few}", size, "--epochs=1", *CPU]
    assert main(["features", *flags, f"--out={file}"]) == 0
    assert feature_file.read(file)[0].image_shape == (1, 24, 16)
    assert fit(tmp_path / "run", few, size, f"--features={file}", "--score-every=2") == 0
    assert main(["evaluate", str(tmp_path / "run"), "--samples=110", *CPU]) == 0
    assert record_of(tmp_path / "run").metrics["fd_cnn"].value > 0


# What is refused.


def test_a_network_that_is_missing_is_named_with_the_command_that_trains_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert fit(tmp_path / "run", copy, "--score-every=1") == 1
    error = capsys.readouterr().err
    assert "error: --score-every 1: there is no feature network for" in error
    assert f"train it: python -m training features --dataset folder:{copy} --image-size 16" in error
    assert not (tmp_path / "run").exists()


def test_a_network_for_another_size_is_refused(network_file: Path) -> None:
    with pytest.raises(EvaluationError, match=r"for images of the shape \(1, 16, 16\), not \(3, "):
        feature_file.load(network_file, (3, 32, 32), Path("squares"))


@pytest.mark.parametrize("content", [b"", b"no network"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(EvaluationError, match=r"file\.pt: not the file of a feature network"):
        feature_file.read(tmp_path / "file.pt")
    with pytest.raises(EvaluationError, match=r"nothing\.pt: cannot be read"):
        feature_file.read(tmp_path / "nothing.pt")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    torch.save({"about": "{}", "state": {}}, tmp_path / "file.pt")
    with pytest.raises(EvaluationError, match=r"file\.pt: made by another version"):
        feature_file.read(tmp_path / "file.pt")


def test_a_version_does_not_say_where_its_images_are(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = ["--models", str(tmp_path)]
    assert main(["export", str(run), "--name", "squares", "--version", "1", *models]) == 0
    assert main(["evaluate", str(tmp_path / "squares" / "1"), *CPU]) == 1
    assert "squares/1: name the folder of its images by --data-dir" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--image-size=32"], "--image-size 32: is for --dataset folder:PATH alone"),
        (["--conditional=none"], "--conditional none: is for --dataset folder:PATH alone"),
    ],
)
def test_options_of_folders_are_for_folders(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["features", *flags, *CPU]) == 1
    assert message in capsys.readouterr().err


def test_few_images_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted(folder.glob("*/*.png"))[:199]:
        shutil.copy(path, tmp_path / path.name)
    assert main(["features", f"--dataset=folder:{tmp_path}", *CPU]) == 1
    assert "has 199 images; a feature network needs 200" in capsys.readouterr().err


def test_a_published_data_set_has_its_own_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "file.pt", tmp_path / "run"
    assert main(["fit", f"--out={out}", "--dataset=mnist", f"--features={file}", *CPU]) == 1
    assert "file.pt: a feature network: mnist has its own; omit it" in capsys.readouterr().err
