"""What the commands that measure and show a generator do with a conditional one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from app.artifact import card
from app.latent.conditions import Conditions, one_hot
from training.__main__ import main
from training.data import idx
from training.data.avatars import dataset
from training.data.avatars.dataset import Avatars
from training.data.avatars.faces import ATTRIBUTES
from training.evaluation import linear_classifier, loaded_model, metrics
from training.evaluation.features import NETWORKS
from training.evaluation.metrics import ImageSets
from training.evaluation.records import EvaluationRecord
from training.run.journal import Run

CPU = torch.device("cpu")
TRAIN, TEST, SAMPLES = 250, 140, 100
CLASSES = ("sneaker", "bag")


@pytest.fixture(scope="module")
def clothes(
    tmp_path_factory: pytest.TempPathFactory, encode: Callable[[NDArray[np.uint8]], bytes]
) -> Path:
    """Noise with the classes 0 to 9."""
    folder, random = tmp_path_factory.mktemp("clothes"), np.random.default_rng(0)
    for split, count in (("train", TRAIN * 5), ("t10k", TEST * 5)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(encode(pixels))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels))
    return folder


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey squares with random attributes."""
    folder, random = tmp_path_factory.mktemp("faces"), np.random.default_rng(0)
    levels = random.integers(0, 256, (500, 3, 1, 1), dtype=np.uint8)
    table = random.random((500, len(ATTRIBUTES))) < 0.3
    columns = dict(zip(ATTRIBUTES, table.T, strict=True))
    images = np.broadcast_to(levels, (500, 3, dataset.SIZE, dataset.SIZE))
    dataset.write(folder / dataset.FILE, Avatars(np.ascontiguousarray(images), columns, ""), 0, {})
    return folder


def fit(out: Path, data: Path, *flags: str) -> Path:
    tiny = {"batch-size": 50, "latent-dim": 4, "generator-filters": 2, "discriminator-filters": 2}
    call = [f"--{flag}={value}" for flag, value in tiny.items()]
    call += [f"--data-dir={data}", "--epochs=1", "--device=cpu", "--threads=1"]
    assert main(["fit", f"--out={out}", *call, *flags]) == 0
    return out


def evaluate(folder: Path, data: Path, out: Path) -> EvaluationRecord:
    call = [f"--data-dir={data}", f"--samples={SAMPLES}", "--device=cpu", f"--out={out}"]
    assert main(["evaluate", str(folder), *call]) == 0
    record = EvaluationRecord.read(out)
    assert record is not None
    return record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, clothes: Path) -> Path:
    """A run on two classes. Read-only."""
    out = tmp_path_factory.mktemp("runs") / "clothes"
    return fit(out, clothes, "--dataset=fashion-mnist", f"--classes={','.join(CLASSES)}")


@pytest.fixture(scope="module")
def version(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    call = ["export", str(run), "--name", "two", "--version", "1", "--models", str(models)]
    assert main(call) == 0
    return models / "two" / "1"


def test_a_run_and_its_version_are_drawn_and_measured_with_the_same_classes(
    run: Path, version: Path, clothes: Path, tmp_path: Path
) -> None:
    own, served = (loaded_model.load(folder, CPU) for folder in (run, version))
    assert own.classes == served.classes == CLASSES
    np.testing.assert_array_equal(own.rows(range(99)), served.rows(range(99)))
    difference = np.abs(own.images(40).astype(int) - served.images(40))
    assert difference.max() <= 1
    first = evaluate(run, clothes, tmp_path / "run.json")
    second = evaluate(version, clothes, tmp_path / "version.json")
    assert (first.training_images, first.test_images) == (TRAIN, TEST)
    assert first.metrics.keys() - second.metrics.keys() == {
        "discriminator_real",
        "discriminator_fake",
    }
    for record in (first, second):
        assert list(record.conditions) == list(record.class_shares) == list(CLASSES)
        for figures in record.conditions.values():
            assert figures.keys() == {"agreement", "fd_cnn", "recall"}
    for name in ("class_agreement", "class_fd_cnn", "class_recall"):
        assert first.metrics[name].floor == second.metrics[name].floor
        assert second.metrics[name].value == pytest.approx(first.metrics[name].value, rel=0.05)
    described = card.read(version)
    assert described.classes == Run(run).data().classes


class Judge(torch.nn.Module):
    """A discriminator that takes images of the first class for real."""

    def __init__(self) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, images: torch.Tensor, conditions: torch.Tensor) -> torch.Tensor:
        return conditions[:, :1] - self.level + 0 * images.mean()


def test_a_conditional_discriminator_judges_images_with_their_conditions() -> None:
    def conditions(first: int, second: int) -> Conditions:
        return one_hot(np.array([0] * first + [1] * second), 2)

    sets = ImageSets(*(np.zeros((count, 1, 4, 4), np.uint8) for count in (1000, 800, 10)))
    labels = ImageSets[Conditions | None](
        conditions(9, 991), conditions(600, 200), conditions(3, 7)
    )
    judged = metrics.discriminator_accuracy(Judge(), sets, labels)
    assert judged["discriminator_real"].value == 0.75
    assert judged["discriminator_fake"].value == pytest.approx(0.7)
    assert judged["discriminator_fake"].floor == pytest.approx(0.1)


def test_the_figures_of_a_conditional_generator_have_walks_but_no_arithmetic(
    run: Path, clothes: Path, tmp_path: Path
) -> None:
    call = ["figures", str(run), f"--data-dir={clothes}", f"--out={tmp_path}", "--device=cpu"]
    assert main([*call, "--scale=1"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"walk.png", "neighbours.png"}
    model = loaded_model.load(run, CPU)
    with Image.open(tmp_path / "walk.png") as image:
        walk = np.asarray(image.convert("L")).astype(int)
    ends = model.images(2, 0)[:, 0]
    assert np.abs(walk[:28, :28] - ends[0]).max() <= 1
    assert np.abs(walk[:28, -28:] - ends[1]).max() <= 1


def test_a_conditional_discriminator_is_probed_without_classes(
    run: Path,
    clothes: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear_classifier, "MIN_STEPS", 20)
    call = ["probe", str(run), f"--data-dir={clothes}", "--labels=100", "--device=cpu"]
    assert main(call) == 0
    assert "discriminator" in capsys.readouterr().out


def test_attributes_are_measured_one_by_one(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = fit(tmp_path / "run", faces, "--dataset=avatars")
    record = evaluate(run, faces, tmp_path / "evaluation.json")
    assert list(record.conditions) == list(ATTRIBUTES)
    for figures in record.conditions.values():
        assert figures.keys() == {"agreement", "requested", "excluded"}
    agreement = record.metrics["attribute_agreement"]
    assert agreement.value == pytest.approx(
        np.mean([figures["agreement"].value for figures in record.conditions.values()])
    )
    assert record.class_shares == {}
    assert main(["attributes", str(run), "--count=100", "--device=cpu"]) == 1
    assert "its attributes are inputs of the generator" in capsys.readouterr().err
    assert Run(run).config().conditional == "auto"


def test_the_names_of_the_classes_are_those_of_the_feature_networks() -> None:
    for name, published in idx.PUBLISHED.items():
        if name in NETWORKS:
            assert NETWORKS[name].names == published.classes
