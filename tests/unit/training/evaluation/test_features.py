"""The feature network: its shipped weights and its training."""

import hashlib
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from training.__main__ import main
from training.data import idx
from training.errors import DataError, EvaluationError
from training.evaluation import feature_training, features
from training.evaluation.features import FASHION_MNIST, FEATURES, MNIST, NetworkSpec
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.options import FeaturesOptions

INSTALLED = idx.FASHION_MNIST.installed
COUNT = 128
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    return features.load(FASHION_MNIST)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 1, 28, 28), dtype=np.uint8)


@pytest.fixture(scope="module")
def data(
    tmp_path_factory: pytest.TempPathFactory,
    encode: Callable[[NDArray[np.uint8]], bytes],
    pixels: NDArray[np.uint8],
) -> Path:
    """A tiny labelled data set, whose training and test images are the same."""
    folder = tmp_path_factory.mktemp("data")
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(encode(pixels[:, 0]))
        labels = np.arange(COUNT, dtype=np.uint8) % 10
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels))
    return folder


@pytest.fixture
def learn(data: Path) -> Callable[..., int]:
    """``features`` by the command line: one epoch on the tiny data set."""

    def learned(out: Path, *flags: str) -> int:
        call = ["features", "--data-dir", str(data), "--epochs", "1", "--device", "cpu"]
        return main([*call, "--out", str(out), *flags])

    return learned


# The shipped network.


@pytest.mark.parametrize("spec", [FASHION_MNIST, MNIST], ids=lambda spec: spec.dataset)
def test_the_shipped_weights_are_small_and_have_the_pinned_hash(spec: NetworkSpec) -> None:
    content = spec.path.read_bytes()
    assert len(content) <= 3 * 2**20
    assert hashlib.sha256(content).hexdigest() == spec.sha256
    assert features.load(spec)(torch.zeros(2, *spec.image_shape)).shape == (2, len(spec.names))


def test_the_shipped_network_classifies_test_images_correctly(network: nn.Sequential) -> None:
    """``tests/process/test_feature_networks.py`` measures its exact accuracy."""
    if not INSTALLED.is_dir():
        pytest.skip(f"Fashion-MNIST is not installed in {INSTALLED}")
    images, labels = idx.images(INSTALLED, "t10k")[:500], idx.labels(INSTALLED, "t10k")[:500]
    extracted = features.extract(network, images, FASHION_MNIST)
    accuracy = float((extracted.labels == labels).mean())
    assert accuracy == pytest.approx(FASHION_MNIST.accuracy, abs=0.02)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped weights that a test may damage."""
    content = FASHION_MNIST.path.read_bytes()
    monkeypatch.setattr(features, "__file__", str(tmp_path / "features.py"))
    FASHION_MNIST.path.write_bytes(content)
    return FASHION_MNIST.path


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_damaged_weights_are_refused_with_file_and_both_hashes(
    elsewhere: Path, damage: str
) -> None:
    content = bytearray(elsewhere.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    else:
        del content[1000 if damage == "cut" else 0 :]
    elsewhere.write_bytes(content)
    with pytest.raises(EvaluationError) as caught:
        features.load(FASHION_MNIST)
    output = str(caught.value)
    assert str(elsewhere) in output
    assert hashlib.sha256(content).hexdigest() in output
    assert FASHION_MNIST.sha256 in output


def test_missing_weights_are_named(elsewhere: Path) -> None:
    elsewhere.unlink()
    with pytest.raises(EvaluationError, match="No such file") as caught:
        features.load(FASHION_MNIST)
    assert str(elsewhere) in str(caught.value)


# Features and labels.


def test_features_and_labels_have_their_shapes_and_types(
    network: nn.Sequential, pixels: NDArray[np.uint8]
) -> None:
    extracted = features.extract(network, pixels, FASHION_MNIST)
    assert (extracted.features.shape, extracted.features.dtype) == ((COUNT, FEATURES), np.float32)
    assert (extracted.labels.shape, extracted.labels.dtype) == ((COUNT,), np.int64)


def test_the_features_of_an_image_do_not_depend_on_its_batch(
    network: nn.Sequential, pixels: NDArray[np.uint8]
) -> None:
    together = features.extract(network, pixels[:20], FASHION_MNIST)
    parts = [features.extract(network, part, FASHION_MNIST) for part in np.split(pixels[:20], [7])]
    apart = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    np.testing.assert_allclose(apart[0], together.features, atol=1e-4)
    np.testing.assert_array_equal(apart[1], together.labels)


def test_more_images_than_one_batch_are_extracted(
    network: nn.Sequential, pixels: NDArray[np.uint8]
) -> None:
    repeated = pixels[np.arange(600) % 20]
    extracted = features.extract(network, repeated, FASHION_MNIST)
    assert extracted.features.shape == (600, FEATURES)
    np.testing.assert_allclose(extracted.features[500:], extracted.features[:100], atol=1e-4)


def test_the_labels_are_those_of_the_whole_network(
    network: nn.Sequential, pixels: NDArray[np.uint8]
) -> None:
    with torch.no_grad():
        logits = network(torch.from_numpy(pixels[:50] / np.float32(127.5) - 1))
    extracted = features.extract(network, pixels[:50], FASHION_MNIST)
    np.testing.assert_array_equal(extracted.labels, logits.argmax(dim=1).numpy())


def test_read_only_arrays_are_accepted(network: nn.Sequential, pixels: NDArray[np.uint8]) -> None:
    fixed = pixels[:2].copy()
    fixed.setflags(write=False)
    assert len(features.extract(network, fixed, FASHION_MNIST).labels) == 2


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 20)])
def test_the_network_has_a_logit_for_every_class(shape: tuple[int, int, int]) -> None:
    network = features.build(shape, 5).eval()
    assert network(torch.zeros(2, *shape)).shape == (2, 5)
    assert network.body(torch.zeros(2, *shape)).shape == (2, FEATURES)


def test_weights_are_stored_in_half_and_loaded_in_single_precision() -> None:
    torch.manual_seed(0)
    network = features.build((1, 28, 28), 10)
    packed = features.pack(network)
    stored = torch.load(io.BytesIO(packed), weights_only=True)
    loaded = features.unpack(packed, FASHION_MNIST)
    assert not loaded.training
    for name, weights in loaded.state_dict().items():
        if weights.is_floating_point():
            assert (weights.dtype, stored[name].dtype) == (torch.float32, torch.float16)
            torch.testing.assert_close(weights, network.state_dict()[name], rtol=1e-3, atol=1e-7)


# Training.


def test_the_command_writes_weights_and_prints_their_hash_and_accuracy(
    learn: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert learn(tmp_path / "a.pt") == 0
    content = (tmp_path / "a.pt").read_bytes()
    output = capsys.readouterr().out
    assert f"{tmp_path / 'a.pt'}: SHA-256 {hashlib.sha256(content).hexdigest()}, " in output
    assert re.search(r"test accuracy \d+\.\d\d%\n", output)
    own = replace(FASHION_MNIST, sha256=hashlib.sha256(content).hexdigest())
    assert isinstance(features.unpack(content, own), nn.Sequential)


def test_the_seed_determines_the_weights(learn: Callable[..., int], tmp_path: Path) -> None:
    for name, seed in [("a", "1"), ("b", "1"), ("c", "2")]:
        assert learn(tmp_path / name, "--seed", seed) == 0
    first, again, other = ((tmp_path / name).read_bytes() for name in "abc")
    assert first == again != other


def test_a_network_learns_to_separate_black_from_white() -> None:
    labels = np.arange(COUNT, dtype=np.uint8) % 2
    pixels = np.full((1, 28, 28), 255, np.uint8) * labels[:, None, None, None]
    learned = feature_training.fit(
        LabelledImages(pixels, labels), FASHION_MNIST, FeaturesOptions(epochs=4), CPU
    )
    extracted = features.extract(learned, pixels, FASHION_MNIST)
    np.testing.assert_array_equal(extracted.labels, labels)


def test_images_are_shifted_independently_by_up_to_two_pixels() -> None:
    torch.manual_seed(0)
    dots = torch.zeros(500, 1, 28, 28, dtype=torch.uint8)
    dots[:, :, 10, 20] = 7
    shifted = feature_training.randomly_shifted(dots)
    assert (shifted.dtype, shifted.shape) == (dots.dtype, dots.shape)
    images, _, rows, columns = shifted.nonzero(as_tuple=True)
    assert images.tolist() == list(range(500))
    assert shifted.sum() == 500 * 7
    found = set(zip((rows - 10).tolist(), (columns - 20).tolist(), strict=True))
    assert found == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


# Errors.


@pytest.mark.parametrize(
    ("count", "shape", "label"),
    [(127, (1, 28, 28), 0), (128, (1, 16, 16), 0), (128, (1, 28, 28), 10)],
    ids=["too few", "another shape", "an unknown class"],
)
def test_unsuitable_images_are_refused(count: int, shape: tuple[int, ...], label: int) -> None:
    pixels, labels = np.zeros((count, *shape), np.uint8), np.full(count, label, np.uint8)
    with pytest.raises(DataError, match="the feature network needs at least 128 images"):
        feature_training.fit(LabelledImages(pixels, labels), FASHION_MNIST, FeaturesOptions(), CPU)


@pytest.mark.parametrize(
    ("flags", "output"),
    [
        (["--epochs", "0"], "error: --epochs 0: Input should be greater than or equal to 1"),
        (
            ["--dataset", "shoes"],
            "error: --dataset shoes: must be fashion-mnist, mnist, avatars or folder",
        ),
        (["--seed", "-1"], "error: --seed -1: Input should be greater"),
    ],
)
def test_an_invalid_value_is_reported_with_its_flag(
    flags: list[str], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["features", *flags]) == 2
    assert capsys.readouterr().err.startswith(output)


def test_a_file_that_cannot_be_written_is_named(
    learn: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert learn(tmp_path) == 1
    output = capsys.readouterr().err
    assert "error: " in output
    assert str(tmp_path) in output
