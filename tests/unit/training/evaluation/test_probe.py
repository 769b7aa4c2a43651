import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_max_pool2d, leaky_relu

from training.__main__ import main
from training.config import Config, from_flags
from training.errors import DataError
from training.evaluation import linear_classifier, probe
from training.gan.gan import Gan

SIDE = 16


@pytest.fixture(autouse=True)
def fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps suffice for classes that are easy to separate."""
    monkeypatch.setattr(linear_classifier, "MIN_STEPS", 4000)


def stripes(count: int) -> tuple[probe.Images, linear_classifier.Labels]:
    """Noisy images of three classes: dark, with a bright upper half, with a bright left half."""
    labels = np.arange(count, dtype=np.uint8) % 3
    pixels = np.random.default_rng(count).integers(0, 60, (count, SIDE, SIDE), dtype=np.uint8)
    pixels[labels == 1, : SIDE // 2] += 150
    pixels[labels == 2, :, : SIDE // 2] += 150
    return pixels, labels


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., bytes]) -> Path:
    folder = tmp_path_factory.mktemp("stripes")
    for split, count in (("train", 120), ("t10k", 60)):
        pixels, labels = stripes(count)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(encode(pixels))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels))
    return folder


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


# The command.


def test_the_classes_are_predicted_from_every_kind_of_features(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", str(run), f"--data-dir={data}", "--labels=100", "--device=cpu"]) == 0
    output = capsys.readouterr().out
    found = probe.ProbeRecord.model_validate_json((run / "probe.json").read_bytes())
    assert (found.step, found.labels, found.test_images) == (10, 100, 60)
    assert found.scores.keys() == {"discriminator", "untrained", "pixels"}
    # 16 → 8 → 4 and one more: 2, 4 and 8 channels.
    widths = {name: score.features for name, score in found.scores.items()}
    assert widths == {"discriminator": 14 * 16, "untrained": 14 * 16, "pixels": SIDE**2}
    for name, score in found.scores.items():
        assert score.accuracy > 0.95, name
        assert f"\n{name:20}{score.features:12}{score.accuracy:12.2%}" in output
    assert f"written to {run / 'probe.json'}\n" in output


def test_the_same_seed_gives_the_same_record(run: Path, data: Path) -> None:
    records = []
    for _ in range(2):
        assert main(["probe", str(run), f"--data-dir={data}", "--device=cpu"]) == 0
        records.append({**json.loads((run / "probe.json").read_text()), "seconds": 0})
    assert records[0] == records[1]
    assert records[0]["labels"] == 120


def test_data_without_classes_are_refused(
    run: Path,
    data: Path,
    tmp_path: Path,
    write_data: Callable[..., Path],
    encode: Callable[..., bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refused(*flags: object) -> str:
        assert main(["probe", str(run), "--device=cpu", *map(str, flags)]) == 1
        assert not (run / "probe.json").exists()
        return capsys.readouterr().err

    same = write_data(tmp_path / "same")
    (same / "train-labels-idx1-ubyte").write_bytes(encode(np.zeros(40, dtype=np.uint8)))
    assert "all of one class" in refused("--data-dir", same)
    assert "--labels 121: there are only 120 training images" in refused(
        "--data-dir", data, "--labels", 121
    )
    other = write_data(tmp_path / "other", height=20, width=20)
    assert "have the shape (1, 20, 20)" in refused("--data-dir", other)
    options = json.loads((run / "options.json").read_text())
    (run / "options.json").write_text(json.dumps({**options, "dataset": "folder:x"}))
    assert "its images have no classes" in refused()


def test_images_are_resized_as_for_the_run(
    fit: Callable[..., int], data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert fit(run, f"--data-dir={data}", "--dataset=mnist", "--image-size=20", "--epochs=1") == 0
    assert main(["probe", str(run), "--device=cpu"]) == 0
    found = probe.ProbeRecord.model_validate_json((run / "probe.json").read_bytes())
    assert found.scores["pixels"].features == 20 * 20


# The features.


def test_features_are_all_activations_pooled_to_a_grid(
    make_gan: Callable[..., Gan],
) -> None:
    network = make_gan().discriminator.eval()
    images = torch.rand(3, 1, 16, 16) * 2 - 1
    with torch.no_grad():
        found = probe.pooled(network, images)
        first = leaky_relu(network[0](images), 0.2)
    assert found.shape == (3, (2 + 4 + 8) * 16)
    torch.testing.assert_close(found[:, :32], adaptive_max_pool2d(first, 4).flatten(1))


@pytest.mark.parametrize("preset", ["paper-64", "keras-28", "upsample-28"])
def test_every_kind_of_discriminator_has_features(preset: str) -> None:
    flags = {"preset": preset, "discriminator_filters": 2, "generator_filters": 2}
    config: Config = from_flags(flags)
    size = config.image_size.width if config.image_size else 28
    network = Gan(config, (1, size, size), torch.device("cpu")).discriminator.eval()
    convolutions = [layer for layer in network if isinstance(layer, torch.nn.Conv2d)]
    with torch.no_grad():
        found = probe.pooled(network, torch.zeros(2, 1, size, size))
    assert found.shape == (2, 16 * sum(layer.out_channels for layer in convolutions))


def test_a_network_that_does_not_flatten_has_features_of_all_its_layers() -> None:
    layer = torch.nn.Conv2d(1, 3, 3, padding=1)
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        found = probe.pooled(torch.nn.Sequential(layer, torch.nn.LeakyReLU(0.2)), images)
        activations = leaky_relu(layer(images), 0.2)
    torch.testing.assert_close(found, adaptive_max_pool2d(activations, 4).flatten(1))


# The classifier.


def test_separable_classes_are_predicted() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(400, dtype=np.uint8) % 4
    centres = 5 * np.eye(4, 10, dtype=np.float32)
    points = (centres[labels] + random.normal(0, 0.5, (400, 10))).astype(np.float32)
    found = linear_classifier.score(points[:300], labels[:300], points[300:], labels[300:])
    assert found.accuracy == 1
    assert found.features == 10
    assert found.strength in linear_classifier.STRENGTHS


def test_random_labels_are_not() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 600).astype(np.uint8)
    points = random.normal(0, 1, (600, 10)).astype(np.float32)
    found = linear_classifier.score(points[:300], labels[:300], points[300:], labels[300:])
    assert found.accuracy == pytest.approx(0.25, abs=0.1)


def test_a_subset_is_balanced() -> None:
    labels = np.repeat(np.arange(3, dtype=np.uint8), (5, 50, 100))
    chosen = linear_classifier.balanced_subset(labels, 30, seed=1)
    assert len(set(chosen.tolist())) == 30
    assert np.bincount(labels[chosen]).tolist() == [5, 13, 12] or np.bincount(
        labels[chosen]
    ).tolist() == [5, 12, 13]
    assert sorted(linear_classifier.balanced_subset(labels, 155, seed=1).tolist()) == list(
        range(155)
    )
    assert not np.array_equal(linear_classifier.balanced_subset(labels, 30, seed=2), chosen)
    with pytest.raises(DataError, match="--labels 156"):
        linear_classifier.balanced_subset(labels, 156, seed=1)


def test_features_are_standardised_by_the_training_set() -> None:
    random = np.random.default_rng(0)
    train = random.normal(7, 3, (500, 4)).astype(np.float32)
    train[:, 3] = 0
    train[0, 3] = 0.1  # hardly ever anything
    test = train[:10].copy()
    linear_classifier.standardise(train, test)
    np.testing.assert_allclose(train[:, :3].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train[:, :3].std(axis=0), 1, atol=1e-4)
    assert np.abs(train[:, 3]).max() < 1
    np.testing.assert_array_equal(test, train[:10])
