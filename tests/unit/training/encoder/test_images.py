"""The real images on which encoders are trained and measured."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from training.__main__ import main
from training.encoder import images, subject
from training.encoder.images import RealImages
from training.encoder.options import EncoderOptions
from training.errors import DataError
from training.evaluation.records import EncoderRecord
from training.run.journal import Run

Encode = Callable[[NDArray[np.uint8]], bytes]
CPU = torch.device("cpu")
CLASSES = ("sneaker", "bag")


def fit(out: Path, *flags: str) -> Path:
    tiny = {"batch-size": 20, "latent-dim": 4, "generator-filters": 2, "discriminator-filters": 2}
    call = [f"--{flag}={value}" for flag, value in tiny.items()]
    assert main(["fit", f"--out={out}", *call, "--epochs=1", "--device=cpu", *flags]) == 0
    return out


def loaded(run: Path, **options: object) -> RealImages:
    found = images.load(
        subject.load(run, CPU), run, EncoderOptions.model_validate({"device": "cpu", **options})
    )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def clothes(tmp_path_factory: pytest.TempPathFactory, encode: Encode) -> Path:
    """Images whose grey is their class."""
    folder = tmp_path_factory.mktemp("clothes")
    for split, count in (("train", 200), ("t10k", 150)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        pixels = np.broadcast_to(labels[:, None, None], (count, 28, 28))
        (folder / f"{split}-images-idx3-ubyte").write_bytes(encode(pixels))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, clothes: Path) -> Path:
    """A run on two classes. Read only."""
    flags = ["--dataset=fashion-mnist", f"--data-dir={clothes}", f"--classes={','.join(CLASSES)}"]
    return fit(tmp_path_factory.mktemp("runs") / "clothes", *flags)


def test_a_data_set_with_a_feature_network_has_its_own_test_images(
    run: Path, clothes: Path
) -> None:
    real = loaded(run, data_dir=clothes)
    for part, count in ((real.train, 40), (real.test, 30)):
        assert part.pixels.shape == (count, 1, 28, 28)
        assert part.conditions is not None
        # Sneakers have the number 7, bags 8; here they are the first and the second class.
        np.testing.assert_array_equal(part.pixels[:, 0, 0, 0] - 7, part.conditions.argmax(axis=1))


def test_features_are_compared_and_measured(run: Path, clothes: Path, tmp_path: Path) -> None:
    call = ["encoder", str(run), f"--data-dir={clothes}", "--steps=2", "--batch-size=2"]
    assert main([*call, "--device=cpu", "--threads=1", f"--out={tmp_path}"]) == 0
    record = EncoderRecord.read(tmp_path / "encoder.json")
    assert record is not None
    assert record.feature_network is not None
    assert record.feature_network.file == "fashion-mnist.pt"
    features = record.metrics["encoder_features"]
    assert features.floor is not None
    assert features.floor > 0
    assert "the 64 features of fashion-mnist.pt" in features.protocol
    assert record.metrics["encoder_pixels"].protocol.endswith("reconstructions of 30 test images")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 150 grey pictures in two classes."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(150):
        place = folder / ("cats" if number % 3 else "dogs")
        place.mkdir(exist_ok=True)
        pixels = random.integers(0, 256, (20, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number:03}.png")
    return folder


def assert_disjoint(real: RealImages, train: int, test: int) -> None:
    parts = [{image.tobytes() for image in part.pixels} for part in (real.train, real.test)]
    assert [len(part) for part in parts] == [train, test]
    assert not parts[0] & parts[1]


def test_images_of_a_folder_are_set_aside(pictures: Path, tmp_path: Path) -> None:
    run = fit(tmp_path / "run", f"--dataset=folder:{pictures}", "--image-size=16")
    real = loaded(run)
    assert_disjoint(real, train=135, test=15)
    assert real.test.conditions is not None
    assert real.test.conditions.shape == (15, 2)


def test_images_that_the_run_held_out_are_the_test_images(pictures: Path, tmp_path: Path) -> None:
    flags = [f"--dataset=folder:{pictures}", "--image-size=16"]
    run = fit(tmp_path / "run", *flags)
    options = Run(run).config().model_copy(update={"test_share": 0.2})
    Run(run).write_options(options)
    with pytest.raises(DataError, match=r"--test-share 0\.2: these are 30 of 150 images"):
        loaded(run)


def test_another_data_set_may_be_named(run: Path, pictures: Path) -> None:
    real = loaded(run, dataset=f"folder:{pictures}")
    assert_disjoint(real, train=135, test=15)
    assert real.train.pixels.shape[1:] == (1, 28, 28)
    assert real.train.conditions is None  # cats and dogs are not what the generator takes


def test_images_of_another_shape_are_refused(run: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(20):
        pixels = random.integers(0, 256, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:03}.png")
    with pytest.raises(DataError, match=r"its images have the shape \(3, 28, 28\), those of"):
        loaded(run, dataset=f"folder:{tmp_path}")
