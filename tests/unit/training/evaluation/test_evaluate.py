"""``evaluate`` on a tiny run and a tiny version, with real images of clothes, and the card."""

import contextlib
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from app.artifact import card
from training.__main__ import main
from training.data import idx
from training.errors import EvaluationError
from training.evaluation import features, inception, loaded_model, metrics, references
from training.evaluation.features import FASHION_MNIST
from training.evaluation.inception import Inception, RgbImages
from training.evaluation.metrics import ImageBytes, ImageSets
from training.evaluation.records import EvaluationRecord, MeasuredMetric
from training.loop.checkpoint import load
from training.run.journal import Run

INSTALLED = idx.FASHION_MNIST.installed
TRAIN, TEST, SAMPLES = 400, 150, 120
MEASURES = {
    "fd_cnn",
    "kid_cnn",
    "precision",
    "recall",
    "density",
    "coverage",
    "copies",
    "class_kl",
}
JUDGED = {"discriminator_real", "discriminator_fake"}
CPU = torch.device("cpu")

pytestmark = pytest.mark.skipif(
    not INSTALLED.is_dir(), reason=f"Fashion-MNIST is not installed in {INSTALLED}"
)


@pytest.fixture(scope="session")
def clothes(encode: Callable[..., bytes]) -> Callable[..., Path]:
    """Writes a data set of the first images of Fashion-MNIST, cut to a size."""
    real = {
        split: (idx.images(INSTALLED, split)[:TRAIN, 0], idx.labels(INSTALLED, split)[:TRAIN])
        for split in ("train", "t10k")
    }

    def written(folder: Path, train: int = TRAIN, test: int = TEST, size: int = 28) -> Path:
        folder.mkdir(exist_ok=True)
        for split, count in (("train", train), ("t10k", test)):
            images, labels = (values[:count] for values in real[split])
            (folder / f"{split}-images-idx3-ubyte").write_bytes(encode(images[:, :size, :size]))
            (folder / f"{split}-labels-idx1-ubyte").write_bytes(encode(labels))
        return folder

    return written


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, clothes: Callable[..., Path]) -> Path:
    return clothes(tmp_path_factory.mktemp("data"))


def fit(out: Path, data: Path, *flags: str) -> None:
    tiny = {"batch-size": 50, "latent-dim": 8, "generator-filters": 2, "discriminator-filters": 2}
    call = [f"--{flag}={value}" for flag, value in tiny.items()]
    call += ["--epochs=1", "--device=cpu", "--threads=1", "--conditional=none"]
    place = [f"--data-dir={data}", "--dataset=fashion-mnist"]
    if any(flag.startswith("--dataset") for flag in flags):
        place = []
    assert main(["fit", f"--out={out}", *call, *place, *flags]) == 0


def evaluate(folder: Path, data: Path, *flags: str) -> int:
    samples = f"--samples={SAMPLES}"
    return main(["evaluate", str(folder), f"--data-dir={data}", samples, "--device=cpu", *flags])


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, data: Path) -> tuple[Path, str]:
    """The folder of a tiny run that was evaluated, and the output of the command."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    fit(folder, data)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert evaluate(folder, data) == 0
    return folder, output.getvalue()


@pytest.fixture(scope="module")
def run(evaluated: tuple[Path, str]) -> Path:
    """The folder of the tiny run. Read-only."""
    return evaluated[0]


@pytest.fixture(scope="module")
def version(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same generator, exported. Read-only."""
    models = tmp_path_factory.mktemp("models")
    names = ["--name", "tiny", "--version", "7", "--models", str(models)]
    assert main(["export", str(run), *names]) == 0
    return models / "tiny" / "7"


@pytest.fixture(scope="module")
def found(run: Path) -> EvaluationRecord:
    """The record of the run."""
    record = EvaluationRecord.read(Run(run).evaluation)
    assert record is not None
    return record


@pytest.fixture(scope="module")
def pixels(data: Path) -> ImageSets[ImageBytes]:
    """The generated images are the test images in another order."""
    test = idx.images(data, "t10k")
    return ImageSets(idx.images(data), test, test[::-1])


@pytest.fixture(scope="module")
def extracted(pixels: ImageSets[ImageBytes]) -> ImageSets[features.Extracted]:
    network = features.load(FASHION_MNIST)
    return ImageSets(*(features.extract(network, images, FASHION_MNIST) for images in pixels))


# The record.


def test_the_record_says_what_was_measured_on_what(found: EvaluationRecord, run: Path) -> None:
    assert (found.subject, found.dataset) == (str(run), "fashion-mnist")
    assert (found.samples, found.training_images, found.test_images) == (SAMPLES, TRAIN, TEST)
    assert found.step == load(Run(run).checkpoint)["step"] == TRAIN // 50
    assert found.feature_network.sha256 == FASHION_MNIST.sha256
    assert found.feature_network.file == "fashion-mnist.pt"
    assert found.seconds > 0


def test_the_record_is_plain_json(run: Path) -> None:
    content = json.loads((run / "evaluation.json").read_text())
    assert content.keys() == EvaluationRecord.model_fields.keys()
    assert content["metrics"].keys() == MEASURES | JUDGED
    for measure in content["metrics"].values():
        assert measure.keys() == {"value", "floor", "protocol", "real"}
        assert isinstance(measure["value"], float)
    assert list(content["class_shares"]) == list(FASHION_MNIST.names)


def test_every_metric_has_its_protocol(found: EvaluationRecord) -> None:
    for name, measure in found.metrics.items():
        assert not set(measure.protocol) & set("{}"), name
        of_features = FASHION_MNIST.sha256[:12] in measure.protocol
        assert of_features == (name not in JUDGED), name
        assert any(f"{count} " in measure.protocol for count in (SAMPLES, TEST)), name


def test_shares_are_shares(found: EvaluationRecord) -> None:
    for name in ("precision", "recall", "coverage", "copies", *JUDGED):
        assert 0 <= found.metrics[name].value <= 1, name
    for side in ("generated", "training"):
        shares = [getattr(share, side) for share in found.class_shares.values()]
        assert sum(shares) == pytest.approx(1)


def test_only_a_metric_without_generated_images_has_no_floor(found: EvaluationRecord) -> None:
    without = {name for name, measure in found.metrics.items() if measure.floor is None}
    assert without == {"discriminator_real"}


def test_a_barely_trained_generator_is_worse_than_real_images(found: EvaluationRecord) -> None:
    for name in ("fd_cnn", "kid_cnn", "class_kl"):
        measure = found.metrics[name]
        assert measure.floor is not None
        assert measure.value > 2 * measure.floor, name
    for name in ("precision", "recall", "coverage"):
        measure = found.metrics[name]
        assert measure.floor is not None
        assert measure.value < measure.floor, name


def test_the_command_prints_every_figure(
    evaluated: tuple[Path, str], found: EvaluationRecord
) -> None:
    folder, output = evaluated
    for name, measure in found.metrics.items():
        assert f"\n{name:20}{measure.value:12.4f}" in output
    assert all(f"\n{name}" in output for name in FASHION_MNIST.names)
    assert f"written to {folder / 'evaluation.json'}\n" in output


# The run and the published version.


def test_a_published_version_is_measured_like_its_run_and_not_written_to(
    version: Path,
    found: EvaluationRecord,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in version.iterdir()}
    assert evaluate(version, data, f"--out={tmp_path / 'a.json'}") == 0
    served = EvaluationRecord.read(tmp_path / "a.json")
    assert served is not None
    assert (served.subject, served.step) == ("tiny/7", None)
    assert served.metrics.keys() == MEASURES
    for name, measure in served.metrics.items():
        assert measure.floor == found.metrics[name].floor
    for name in ("fd_cnn", "kid_cnn", "density"):
        assert served.metrics[name].value == pytest.approx(found.metrics[name].value, rel=0.01)
    capsys.readouterr()
    monkeypatch.setattr("training.evaluation.evaluate.measure", lambda *_: served)
    assert evaluate(version, data) == 0
    output = capsys.readouterr().out
    assert output.startswith("tiny/7: 120 images against 150 test images")
    assert "written" not in output
    assert {path: path.read_bytes() for path in version.iterdir()} == before


def test_a_model_draws_the_same_images_in_batches_of_any_length(run: Path, version: Path) -> None:
    for folder in (run, version):
        model = loaded_model.load(folder, CPU)
        whole = model.images(20)
        parts = np.concatenate([model.images(7), model.images(13, seed=7)])
        assert (whole.shape, whole.dtype) == ((20, 1, 28, 28), np.uint8)
        difference = np.abs(parts.astype(int) - whole)
        assert difference.max() <= 1
        assert (difference > 0).mean() <= 0.001
        assert len({image.tobytes() for image in whole}) == 20


# The metrics.


def test_the_same_images_on_both_sides_score_perfectly(
    extracted: ImageSets[features.Extracted],
) -> None:
    found = metrics.measure(extracted, FASHION_MNIST)
    assert found["fd_cnn"].value == pytest.approx(0, abs=1e-6)
    # The unbiased estimate omits the pairs of an image with itself, so it can be negative.
    assert found["kid_cnn"].value < 0
    for name in ("precision", "recall", "coverage"):
        assert found[name].value == 1, name
    assert found["copies"].value == pytest.approx(0.01, abs=0.005)


def test_the_floor_is_the_metric_of_training_images(
    extracted: ImageSets[features.Extracted],
) -> None:
    count = len(extracted.fake.labels)
    train = features.Extracted(extracted.train.features[:count], extracted.train.labels[:count])
    floors = metrics.measure(extracted, FASHION_MNIST)
    values = metrics.measure(extracted._replace(fake=train), FASHION_MNIST)
    for name in MEASURES - {"copies"}:
        assert values[name].value == floors[name].floor, name
    # Among the other training images alone they are no copies.
    assert values["copies"].value == 1
    assert floors["copies"].floor is not None
    assert floors["copies"].floor < 0.1


@pytest.mark.parametrize("change", ["noise", "blur", "mirror", "one class"])
def test_worse_images_have_a_larger_distance(
    pixels: ImageSets[ImageBytes], extracted: ImageSets[features.Extracted], change: str
) -> None:
    test = pixels.test
    if change == "noise":
        noise = np.random.default_rng(0).integers(-40, 41, test.shape)
        worse = np.clip(test + noise, 0, 255).astype(np.uint8)
    elif change == "blur":
        worse = test.reshape(TEST, 1, 14, 2, 14, 2).mean(axis=(3, 5)).astype(np.uint8)
        worse = worse.repeat(2, axis=2).repeat(2, axis=3)
    elif change == "mirror":
        worse = test[..., ::-1]
    else:
        worse = np.resize(test[extracted.test.labels == 1], test.shape)
    fake = features.extract(features.load(FASHION_MNIST), worse, FASHION_MNIST)
    found = metrics.measure(extracted._replace(fake=fake), FASHION_MNIST)["fd_cnn"]
    assert found.floor is not None
    assert found.value > 1.3 * found.floor


def test_neighbours_are_searched_only_among_the_first_images(
    extracted: ImageSets[features.Extracted], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = metrics.measure(extracted, FASHION_MNIST)
    monkeypatch.setattr(metrics, "MAX_NEIGHBOURS", 110)
    part = metrics.measure(extracted, FASHION_MNIST)
    assert part["fd_cnn"] == whole["fd_cnn"]
    assert "the 110 images of seeds 0 to 109" in part["precision"].protocol
    assert "110 test images" in part["precision"].protocol
    assert part["precision"].value < 1  # the fakes are the last test images first


class Brightness(torch.nn.Module):
    """A discriminator that takes dark images for real."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return -self.weight * images.mean(dim=(1, 2, 3))[:, None]


def test_the_accuracy_of_a_discriminator_is_measured_on_all_three_sets() -> None:
    def grey(dark: int, bright: int) -> ImageBytes:
        levels = np.array([0] * dark + [255] * bright, dtype=np.uint8)
        return np.broadcast_to(levels[:, None, None, None], (dark + bright, 1, 4, 4))

    train = np.concatenate([grey(9, 1), grey(0, 990)])
    judged = metrics.discriminator_accuracy(
        Brightness(), ImageSets(train, grey(600, 400), grey(3, 7))
    )
    assert judged["discriminator_real"].value == 0.6
    assert judged["discriminator_fake"].value == pytest.approx(0.7)
    assert judged["discriminator_fake"].floor == pytest.approx(0.1)


# The card.


@pytest.fixture
def run_copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def export(run: Path, models: Path) -> dict[str, card.Metric]:
    call = ["export", str(run), "--name", "tiny", "--version", "1", "--models", str(models)]
    assert main(call) == 0
    return card.read(models / "tiny" / "1").metrics


def test_an_evaluation_of_the_same_checkpoint_is_added_to_the_card(
    run: Path, found: EvaluationRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = export(run, tmp_path)
    assert metrics.keys() == {"parity"} | MEASURES | JUDGED
    for name, measure in found.metrics.items():
        assert metrics[name].value == measure.value
        assert metrics[name].protocol.startswith(measure.protocol)
    assert f"{found.metrics['fd_cnn'].floor:.4g}" in metrics["fd_cnn"].protocol
    assert capsys.readouterr().out.endswith(f"published {tmp_path / 'tiny' / '1'}\n")


def test_an_evaluation_of_another_step_is_ignored_with_a_message(
    run_copy: Path, found: EvaluationRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found.model_copy(update={"step": 7}).write(Run(run_copy).evaluation)
    assert export(run_copy, tmp_path / "models").keys() == {"parity"}
    output = capsys.readouterr().out
    assert (
        f"{run_copy / 'evaluation.json'}: ignored, because it is of step 7, not of step 8" in output
    )


def test_without_an_evaluation_the_card_has_the_parity_alone(
    run_copy: Path, tmp_path: Path
) -> None:
    (run_copy / "evaluation.json").unlink()
    assert export(run_copy, tmp_path / "models").keys() == {"parity"}


def test_a_damaged_evaluation_is_named(run_copy: Path, tmp_path: Path) -> None:
    (run_copy / "evaluation.json").write_text("{")
    call = ["export", str(run_copy), "--name", "tiny", "--version", "1"]
    assert main([*call, "--models", str(tmp_path / "models")]) == 1
    assert not (tmp_path / "models").exists()


def test_the_card_of_a_metric_without_floor_has_its_protocol_only() -> None:
    measure = MeasuredMetric(value=1.5, floor=None, protocol="counted")
    assert measure.for_card() == card.Metric(value=1.5, protocol="counted")


def test_a_relativistic_discriminator_does_not_judge_single_images(run_copy: Path) -> None:
    assert loaded_model.load(run_copy, CPU).discriminator is not None
    options = json.loads((run_copy / "options.json").read_text())
    (run_copy / "options.json").write_text(json.dumps({**options, "loss": "relativistic"}))
    assert loaded_model.load(run_copy, CPU).discriminator is None


# The FID, with a test double of torch-fidelity.


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The calls to ``calculate_metrics``, which returns 10, 11, …"""
    calls: list[dict[str, Any]] = []

    def calculate_metrics(**options: Any) -> dict[str, float]:
        calls.append(options)
        return {"frechet_inception_distance": 9.0 + len(calls)}

    library = ModuleType("torch_fidelity")
    vars(library).update(
        calculate_metrics=calculate_metrics,
        KEY_METRIC_FID="frechet_inception_distance",
        __version__="0.0",
    )
    monkeypatch.setitem(sys.modules, "torch_fidelity", library)
    return calls


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pt_inception.pth"
    path.write_bytes(b"weights")
    monkeypatch.setattr(inception, "WEIGHTS_SHA256", card.digest(b"weights"))
    return path


def test_the_fid_is_computed_by_torch_fidelity(
    calls: list[dict[str, Any]], weights: Path, pixels: ImageSets[ImageBytes]
) -> None:
    measure = Inception(weights).fid(pixels, CPU)
    assert (measure.value, measure.floor) == (10.0, 11.0)
    assert "torch-fidelity 0.0" in measure.protocol
    for call, images in zip(calls, (pixels.fake, pixels.train[:TEST]), strict=True):
        assert call["fid"] is True
        assert call["cuda"] is False
        assert call["feature_extractor_weights_path"] == str(weights)
        for name, expected in (("input1", images), ("input2", pixels.test)):
            assert len(call[name]) == len(expected)
            assert (call[name][3].shape, call[name][3].dtype) == ((3, 28, 28), torch.uint8)
            assert all((channel.numpy() == expected[3, 0]).all() for channel in call[name][3])
    # The cache is shared by both calls and deleted after them.
    assert calls[0]["cache_root"] == calls[1]["cache_root"]
    assert not Path(calls[0]["cache_root"]).exists()


@pytest.mark.parametrize(
    ("shape", "prepared"),
    [
        ((1, 20, 20), "the grey channel repeated as RGB, 20×20, resized bilinearly to 299×299"),
        ((3, 96, 64), "; RGB, 64×96, resized bilinearly to 299×299"),
        ((3, 256, 256), "; RGB, 256×256, resized bilinearly to 299×299"),
    ],
)
@pytest.mark.usefixtures("calls")
def test_the_protocol_of_the_fid_says_how_images_of_any_shape_are_prepared(
    shape: tuple[int, int, int], prepared: str, weights: Path
) -> None:
    images = np.zeros((4, *shape), np.uint8)
    assert prepared in Inception(weights).fid(ImageSets(images, images, images), CPU).protocol
    assert RgbImages(images)[0].shape == (3, *shape[1:])


def test_colours_are_left_as_they_are() -> None:
    image = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    np.testing.assert_array_equal(RgbImages(image)[1].numpy(), image[1])


@pytest.mark.usefixtures("calls")
def test_with_inception_the_fid_is_measured_too(
    run: Path, data: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "fid.json"
    assert evaluate(run, data, f"--inception={weights}", f"--out={out}") == 0
    found = EvaluationRecord.read(out)
    assert found is not None
    assert found.metrics.keys() == MEASURES | JUDGED | {"fid"}
    assert found.metrics["fid"].value == 10.0


def test_the_fid_of_another_size_needs_no_feature_network(
    calls: list[dict[str, Any]], data: Path, weights: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fit(run, data, "--image-size=20x16")
    assert evaluate(run, data, f"--inception={weights}") == 0
    found = EvaluationRecord.read(Run(run).evaluation)
    assert found is not None
    assert found.metrics.keys() == JUDGED | {"fid"}
    assert (found.feature_network, found.class_shares, found.conditions) == (None, {}, {})
    assert calls[0]["input2"][0].shape == (3, 16, 20)
    assert len(calls[0]["input2"]) == TEST


@pytest.mark.usefixtures("calls")
def test_the_fid_of_a_folder_needs_no_feature_network(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "noise").mkdir()
    random = np.random.default_rng(0)
    for number in range(230):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{number}.png")
    fit(tmp_path / "run", tmp_path, f"--dataset=folder:{tmp_path}/noise", "--image-size=16")
    call = ["evaluate", str(tmp_path / "run"), f"--inception={weights}", "--samples=110"]
    assert main([*call, "--device=cpu"]) == 0
    found = EvaluationRecord.read(Run(tmp_path / "run").evaluation)
    assert found is not None
    assert "fid" in found.metrics
    assert (found.feature_network, found.reference) == (None, references.STAND_INS)
    assert f"to {found.test_images} {references.STAND_INS}" in found.metrics["fid"].protocol


def test_without_the_fid_another_size_has_nothing_to_measure(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path / "run", data, "--image-size=20x16")
    capsys.readouterr()
    assert evaluate(tmp_path / "run", data) == 1
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/run: there is no feature network for images of fashion-mnist of the "
        "size 20x16, only for those of 28; --inception measures the FID of any size\n"
    )


def test_without_torch_fidelity_the_error_names_the_command_that_installs_it(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(EvaluationError, match="pip install torch-fidelity"):
        Inception(weights)


@pytest.mark.usefixtures("calls")
def test_other_weights_than_those_of_fid_are_refused(weights: Path) -> None:
    weights.write_bytes(b"others")
    with pytest.raises(EvaluationError, match="has SHA-256") as caught:
        Inception(weights)
    assert card.digest(b"others") in str(caught.value)
    assert card.digest(b"weights") in str(caught.value)
    weights.unlink()
    with pytest.raises(EvaluationError, match="No such file"):
        Inception(weights)


# Errors, before any image is generated.


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command on a folder that it refuses; returns the error."""

    def output(folder: Path, data: Path, *flags: str, code: int = 1) -> str:
        capsys.readouterr()
        assert evaluate(folder, data, *flags) == code
        output = capsys.readouterr()
        assert not output.out
        assert "generating" not in output.err
        return output.err

    return output


def test_a_missing_or_unrelated_folder_is_refused(
    refused: Callable[..., str], data: Path, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    assert refused(missing, data) == f"error: {missing}: no such folder\n"
    output = refused(tmp_path, data)
    assert output.startswith(f"error: {tmp_path}: neither a run (it has no options.json) nor")


def test_without_onnxruntime_a_version_cannot_be_measured(
    version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "app.runtime.providers", None)
    with pytest.raises(EvaluationError, match=r"pip install '\.\[cpu\]'"):
        loaded_model.load(version, CPU)


def test_an_unavailable_provider_is_refused(version: Path) -> None:
    with pytest.raises(EvaluationError, match="bf16"):
        loaded_model.load(version, CPU, provider="cpu", precision="bf16")


def test_latents_of_another_width_are_refused(version: Path) -> None:
    draw = loaded_model.load(version, CPU).draw
    with pytest.raises(EvaluationError, match=r"cannot run the graph on \(1, 3\)"):
        draw(np.zeros((1, 3), dtype=np.float32))


@pytest.mark.parametrize("missing", ["data.json", "checkpoints/last.pt"])
def test_a_run_that_lacks_a_part_is_refused_by_its_name(
    refused: Callable[..., str], run_copy: Path, data: Path, missing: str
) -> None:
    (run_copy / missing).unlink()
    assert str(run_copy / missing) in refused(run_copy, data)


def test_a_damaged_version_is_refused(
    refused: Callable[..., str], version: Path, data: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(version, tmp_path / "tiny" / "7"))
    (folder / "generator.onnx").write_bytes(b"")
    assert "generator.onnx: has SHA-256" in refused(folder, data)
    described = card.read(folder)
    gpu_only = described.variants[0].model_copy(update={"provider": "cuda"})
    card.write(described.model_copy(update={"variants": [gpu_only]}), folder)
    assert "has no variant for provider cpu" in refused(folder, data)


def test_a_data_set_without_feature_network_is_refused(
    refused: Callable[..., str], run_copy: Path, data: Path
) -> None:
    facts = json.loads((run_copy / "data.json").read_text())
    (run_copy / "data.json").write_text(json.dumps({**facts, "name": "shoes"}))
    assert "no feature network for its data set shoes" in refused(run_copy, data)


def test_images_of_another_shape_are_refused(
    refused: Callable[..., str], run: Path, clothes: Callable[..., Path], tmp_path: Path
) -> None:
    small = clothes(tmp_path / "small", size=16)
    output = refused(run, small)
    assert "its images have the shape (1, 16, 16)" in output
    assert f"those of {run} (1, 28, 28)" in output


def test_too_few_images_are_refused(
    refused: Callable[..., str],
    run: Path,
    data: Path,
    clothes: Callable[..., Path],
    tmp_path: Path,
) -> None:
    assert "error: --samples 99: " in refused(run, data, "--samples=99", code=2)
    assert "has 400 training images, but must have more than --samples 400" in refused(
        run, data, "--samples=400"
    )
    few = clothes(tmp_path / "few", test=99)
    assert "has 99 test images, fewer than 100" in refused(run, few)


def test_a_record_that_cannot_be_written_is_named_without_a_traceback(
    run: Path,
    found: EvaluationRecord,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("training.evaluation.evaluate.measure", lambda *_: found)
    (tmp_path / "file").touch()
    assert evaluate(run, data, f"--out={tmp_path / 'file' / 'a.json'}") == 1
    assert f"'{tmp_path / 'file'}'" in capsys.readouterr().err
