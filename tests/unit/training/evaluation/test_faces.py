"""The feature network of drawn faces, and the commands that use it."""

import contextlib
import hashlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training.__main__ import main
from training.data.avatars import dataset
from training.data.avatars.dataset import Avatars
from training.data.avatars.faces import ATTRIBUTES, attributes_of, sample_face
from training.errors import DataError
from training.evaluation import feature_training, features, labelled_data, metrics, scoring
from training.evaluation.features import AVATARS, FEATURES, Extracted
from training.evaluation.labelled_data import LabelledImages
from training.evaluation.metrics import ImageSets
from training.evaluation.options import FeaturesOptions
from training.evaluation.records import EvaluationRecord
from training.run.journal import Run

COUNT, LEARNED, TESTED, SAMPLES = 500, 400, 100, 100
MEASURES = [
    "fd_cnn",
    "kid_cnn",
    "precision",
    "recall",
    "density",
    "coverage",
    "copies",
    "attribute_gap",
]
JUDGED = ["discriminator_real", "discriminator_fake"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces() -> Avatars:
    """Coarse noise instead of faces, with random attributes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (COUNT, 3, 8, 8), dtype=np.uint8)
    table = random.random((COUNT, len(ATTRIBUTES))) < 0.3
    columns = dict(zip(ATTRIBUTES, table.T, strict=True))
    return Avatars(images.repeat(8, axis=2).repeat(8, axis=3), columns, "none")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, faces: Avatars) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    dataset.write(folder / dataset.FILE, faces, 0, {})
    return folder


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    return features.load(AVATARS)


def fit(out: Path, place: Path, *flags: str) -> int:
    tiny = {"batch-size": 50, "latent-dim": 8, "generator-filters": 2, "discriminator-filters": 2}
    call = [f"--{flag}={value}" for flag, value in tiny.items()]
    call += ["--dataset=avatars", f"--data-dir={place}", "--epochs=1", "--device=cpu"]
    call += ["--conditional=none", "--preset=dcgan-28"]
    return main(["fit", f"--out={out}", "--threads=1", *call, *flags])


def evaluate(folder: Path, place: Path, *flags: str) -> int:
    call = [f"--data-dir={place}", f"--samples={SAMPLES}", "--device=cpu"]
    return main(["evaluate", str(folder), *call, *flags])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, place: Path) -> Path:
    """The folder of a tiny run. Read-only."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert fit(folder, place) == 0
    return folder


@pytest.fixture(scope="module")
def printed(run: Path, place: Path) -> str:
    """The output of ``evaluate`` for the run."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert evaluate(run, place) == 0
    return output.getvalue()


@pytest.fixture(scope="module")
def found(run: Path, printed: str) -> EvaluationRecord:
    assert printed
    record = EvaluationRecord.read(Run(run).evaluation)
    assert record is not None
    return record


# The shipped network.


def test_the_shipped_weights_are_small_and_have_the_pinned_hash() -> None:
    content = AVATARS.path.read_bytes()
    assert len(content) <= 2 * 2**20
    assert hashlib.sha256(content).hexdigest() == AVATARS.sha256


def test_the_shipped_network_predicts_the_attributes_of_unseen_faces(
    network: nn.Sequential,
) -> None:
    pytest.importorskip("python_avatars", reason="the extra 'avatars' is not installed")
    pytest.importorskip("resvg_py", reason="the extra 'avatars' is not installed")
    from training.data.avatars import rendering  # noqa: PLC0415 it needs what may not be there

    others = [sample_face(7, number) for number in range(60)]
    pixels = np.stack([rendering.render(face) for face in others])
    extracted = features.extract(network, pixels, AVATARS)
    right = extracted.labels == np.array([*map(attributes_of, others)])
    assert right.mean() == pytest.approx(AVATARS.accuracy, abs=0.02)


def test_features_and_attributes_have_their_shapes_and_types(
    network: nn.Sequential, faces: Avatars
) -> None:
    extracted = features.extract(network, faces.images[:3], AVATARS)
    assert (extracted.features.shape, extracted.features.dtype) == ((3, FEATURES), np.float32)
    assert (extracted.labels.shape, extracted.labels.dtype) == ((3, len(ATTRIBUTES)), np.bool_)


def test_an_attribute_is_predicted_if_it_is_likelier_than_not(
    network: nn.Sequential, faces: Avatars
) -> None:
    with torch.no_grad():
        logits = network(torch.from_numpy(faces.images[:20] / np.float32(127.5) - 1))
    extracted = features.extract(network, faces.images[:20], AVATARS)
    np.testing.assert_array_equal(extracted.labels, logits.sigmoid().numpy() > 0.5)


# Training.


def test_attributes_are_learned_independently() -> None:
    shipped = replace(AVATARS, names=("bright", "red"), image_shape=(3, 16, 16))
    labels = np.array([(k % 2, k // 2 % 2) for k in range(128)], dtype=bool)
    pixels = np.zeros((128, 3, 16, 16), np.uint8)
    pixels[labels[:, 0], 1:] = 200
    pixels[labels[:, 1], 0] = 200
    learned = feature_training.fit(
        LabelledImages(pixels, labels), shipped, FeaturesOptions(epochs=10), CPU
    )
    extracted = features.extract(learned, pixels, shipped)
    np.testing.assert_array_equal(extracted.labels, labels)


def test_the_cross_entropy_of_attributes_is_a_sum_and_that_of_classes_one_logarithm() -> None:
    logits = torch.tensor([[0.0, 1.0, -2.0], [3.0, 0.5, 0.0]])
    has = torch.tensor([[True, False, False], [True, True, False]])
    p = torch.where(has, logits.sigmoid(), 1 - logits.sigmoid())
    expected = -p.prod(dim=1).log().mean()
    torch.testing.assert_close(feature_training.cross_entropy(logits, has), expected)
    classes = torch.tensor([2, 0], dtype=torch.uint8)
    expected = -logits.softmax(dim=1)[[0, 1], [2, 0]].log().mean()
    torch.testing.assert_close(feature_training.cross_entropy(logits, classes), expected)


def test_the_command_prints_the_accuracy_of_each_attribute(
    place: Path, faces: Avatars, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["--dataset=avatars", f"--data-dir={place}", "--epochs=1", "--device=cpu"]
    assert main(["features", *call, f"--out={tmp_path / 'a.pt'}"]) == 0
    content = (tmp_path / "a.pt").read_bytes()
    first, heading, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{tmp_path / 'a.pt'}: SHA-256 {hashlib.sha256(content).hexdigest()}, ")
    assert heading.split() == ["attribute", "share", "accuracy", "balanced"]
    table = {name: shares for name, *shares in map(str.split, rows)}
    assert list(table) == list(ATTRIBUTES)
    trained = features.unpack(content, AVATARS)
    extracted = features.extract(trained, faces.test.images, AVATARS)
    for k, (name, had) in enumerate(faces.test.attributes.items()):
        assert table[name][0] == f"{had.mean():.1%}"
        assert table[name][1] == f"{(extracted.labels[:, k] == had).mean():.2%}"
    accuracies = [float(share.rstrip("%")) for _, share, _ in table.values()]
    total = re.search(r"test accuracy (\S+)%$", first)
    assert total
    assert float(total[1]) == pytest.approx(np.mean(accuracies), abs=0.01)


def test_balanced_accuracy_does_not_depend_on_the_share_of_an_attribute() -> None:
    has = np.array([[1, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]], dtype=bool)
    right = np.array([[0, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 0]], dtype=bool)
    _, *rows = feature_training.accuracy_table(["denied", "guessed", "everywhere"], has, right)
    assert [row.split() for row in rows] == [
        ["denied", "25.0%", "75.00%", "50.00%"],
        ["guessed", "25.0%", "50.00%", "66.67%"],
        ["everywhere", "100.0%", "75.00%", "75.00%"],
    ]


def test_labels_of_other_attributes_are_refused(faces: Avatars, tmp_path: Path) -> None:
    labels = np.zeros((LEARNED, 3), dtype=bool)
    with pytest.raises(DataError, match=r"labels \(3,\) .* of 16 attributes"):
        feature_training.fit(
            LabelledImages(faces.training.images, labels), AVATARS, FeaturesOptions(), CPU
        )
    few = dict(list(faces.attributes.items())[:2])
    dataset.write(tmp_path / dataset.FILE, replace(faces, attributes=few), 0, {})
    with pytest.raises(DataError, match="has the attributes glasses, sunglasses, not glasses, "):
        labelled_data.load(AVATARS, tmp_path)


# Evaluation.


def test_the_record_compares_with_the_test_faces(found: EvaluationRecord, run: Path) -> None:
    assert (found.subject, found.dataset) == (str(run), "avatars")
    counts = (found.samples, found.training_images, found.test_images)
    assert counts == (SAMPLES, LEARNED, TESTED)
    assert found.feature_network.sha256 == AVATARS.sha256
    assert list(found.metrics) == MEASURES + JUDGED
    content = json.loads((run / "evaluation.json").read_text())
    assert content["class_shares"] == {}
    assert list(content["attribute_shares"]) == list(ATTRIBUTES)


def test_every_metric_has_its_protocol(found: EvaluationRecord) -> None:
    for name, measure in found.metrics.items():
        assert not set(measure.protocol) & set("{}"), name
        assert (AVATARS.sha256[:12] in measure.protocol) == (name not in JUDGED), name
    output = found.metrics["attribute_gap"].protocol
    assert "over 16 attributes" in output
    assert f"the {SAMPLES} images of seeds 0 to {SAMPLES - 1}" in output
    assert f"{TESTED} test images" in output


def test_the_gap_is_that_of_the_shares_to_the_test_faces(
    found: EvaluationRecord, faces: Avatars, network: nn.Sequential
) -> None:
    test = features.extract(network, faces.test.images, AVATARS).labels.mean(axis=0)
    shares = found.attribute_shares.values()
    gap = found.metrics["attribute_gap"]
    for side, value in (("generated", gap.value), ("training", gap.floor)):
        sought = np.array([getattr(share, side) for share in shares])
        assert value == pytest.approx(np.abs(sought - test).mean())


def test_faces_without_an_attribute_widen_the_gap_by_its_share() -> None:
    random = np.random.default_rng(0)
    extracted = Extracted(random.normal(size=(200, FEATURES)), random.random((200, 16)) < 0.5)
    bare = extracted.labels.copy()
    bare[:, 3] = False
    fake = Extracted(extracted.features, bare)
    gap = metrics.measure(
        ImageSets(Extracted(*map(np.tile, extracted, [(2, 1)] * 2)), extracted, fake), AVATARS
    )
    assert gap["attribute_gap"].value == pytest.approx(extracted.labels[:, 3].mean() / 16)
    assert gap["attribute_gap"].floor == 0


def test_the_command_prints_the_share_of_every_attribute(
    printed: str, found: EvaluationRecord
) -> None:
    assert f"{SAMPLES} images against {TESTED} test images\n" in printed
    for name, share in found.attribute_shares.items():
        assert f"\n{name:20}{share.generated:12.1%}{share.training:12.1%}\n" in printed
    assert "features: avatars.pt" in printed


def test_missing_faces_are_reported_with_the_command_that_makes_them(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(run, tmp_path) == 1
    output = capsys.readouterr().err
    assert f"error: {tmp_path / 'avatars.npz'}: no such file" in output
    assert f"`python -m training avatars --out {tmp_path}`" in output
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="--out data/avatars`"):
        labelled_data.load(AVATARS, None)


def test_faces_of_another_size_are_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit(tmp_path / "run", place, "--image-size=16") == 0
    assert evaluate(tmp_path / "run", place) == 1
    output = capsys.readouterr().err
    assert "no feature network for images of avatars of the size 16, only for those of 64" in output


def test_a_run_on_faces_is_scored(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "SAMPLES", SAMPLES)
    monkeypatch.setattr(scoring, "REAL_IMAGES", SAMPLES)
    assert fit(tmp_path / "run", place, "--score-every=1") == 0
    run = Run(tmp_path / "run")
    (line,) = run.epochs()
    assert line["fd_cnn"] > 0
    assert run.best_checkpoint.exists()
