"""The ``encoder`` command, on tiny runs and on versions that were published from them."""

import io
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from app.artifact import card
from training.__main__ import main
from training.encoder import evaluation, subject
from training.encoder.encode import Session
from training.encoder.found import find
from training.encoder.trainer import Trainer
from training.evaluation import loaded_model
from training.evaluation.options import EvaluateOptions
from training.evaluation.records import EncoderRecord
from training.figures import reconstructions
from training.figures.options import FiguresOptions
from training.run.journal import Run

Fit = Callable[..., int]
CPU = torch.device("cpu")
FLAGS = ["--device=cpu", "--threads=1", "--batch-size=4", "--steps=6"]


@pytest.fixture(scope="module")
def conditional_run(tmp_path_factory: pytest.TempPathFactory, fit: Fit) -> Path:
    """The folder of a conditional run. Read only."""
    out = tmp_path_factory.mktemp("conditional") / "run"
    assert fit(out, "--conditional", "auto", "--epochs", 1) == 0
    return out


@pytest.fixture
def run(conditional_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(conditional_run, tmp_path / "run"))


@pytest.fixture
def version(finished_run: Path, tmp_path: Path) -> Path:
    """A published version of an unconditional generator."""
    models = tmp_path / "models"
    call = ["export", str(finished_run), "--name=tiny", "--version=1", f"--models={models}"]
    assert main(call) == 0
    return models / "tiny" / "1"


def encoder(folder: Path, *flags: object) -> int:
    return main(["encoder", str(folder), *FLAGS, *map(str, flags)])


def record(folder: Path) -> EncoderRecord:
    found = EncoderRecord.read(folder / "encoder.json")
    assert found is not None
    return found


def state(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "last.pt", weights_only=True)
    return found


def test_a_run_gets_an_encoder_with_its_record(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encoder(run) == 0
    folder = Run(run).encoder
    assert {path.name for path in folder.iterdir()} == {
        "options.json",
        "metrics.jsonl",
        "last.pt",
        "encoder.onnx",
        "encoder.json",
    }
    found, graph = record(folder), (folder / "encoder.onnx").read_bytes()
    assert (found.sha256, found.size) == (card.digest(graph), len(graph))
    assert found.step == 5
    assert found.training["steps"] == 6
    assert set(found.metrics) == {
        f"encoder_{name}"
        for name in ("latents", "pixels", "ssim", "class_agreement", "generated_class_agreement")
    }
    (line,) = (folder / "metrics.jsonl").read_text().splitlines()
    assert (json.loads(line)["step"], json.loads(line)["done"]) == (6, 1)
    output, bars = capsys.readouterr()
    assert "encoder_pixels " in output
    assert f"written to {folder}" in output
    assert bars.index("encoding generated images: ") < bars.index("encoding test images: ")


def test_the_graph_gives_rows_for_the_generator(run: Path) -> None:
    assert encoder(run) == 0
    graph = (Run(run).encoder / "encoder.onnx").read_bytes()
    outputs = [one.name for one in onnx.load_from_string(graph).graph.output]
    assert outputs == ["latents", "classes"]
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 16, 16), dtype=np.uint8)
    rows = Session(graph).rows(images)
    assert rows.shape == (7, 4 + 10)
    np.testing.assert_allclose(rows[:, 4:].sum(axis=1), 1, atol=1e-6)
    generator = subject.load(run, CPU).generator
    assert generator(torch.from_numpy(rows)).shape == images.shape


def test_a_version_gets_its_encoder_and_the_metrics(
    version: Path, tiny_flags: list[str], tmp_path: Path
) -> None:
    before = card.read(version)
    data = tiny_flags[tiny_flags.index("--data-dir") + 1]
    out = tmp_path / "out"
    assert encoder(version, "--data-dir", data, "--out", out) == 0
    after = card.read(version)
    assert after.encoder is not None
    graph = card.load_graph(version, after.encoder)
    assert graph == (version / "encoder.onnx").read_bytes() == (out / "encoder.onnx").read_bytes()
    props = onnx.load_from_string(graph).metadata_props
    assert {one.key: one.value for one in props} == after.metadata()
    added = {name: one for name, one in after.metrics.items() if name not in before.metrics}
    assert set(added) == {"encoder_latents", "encoder_pixels", "encoder_ssim"}
    assert "after 4 steps of Adam on their latents" in added["encoder_pixels"].protocol
    unchanged = after.model_copy(update={"encoder": None, "metrics": before.metrics})
    assert unchanged == before


def test_an_encoder_can_be_replaced(version: Path, tmp_path: Path) -> None:
    call = (version, "--no-real-images", "--out")
    assert encoder(*call, tmp_path / "a") == 0
    first = card.read(version)
    assert set(first.metrics) - {"parity"} == {"encoder_latents"}
    assert encoder(*call, tmp_path / "b", "--seed", 1) == 0
    second = card.read(version)
    assert first.encoder is not None
    assert second.encoder is not None
    assert first.encoder != second.encoder
    card.load_graph(version, second.encoder)


def test_a_resumed_training_ends_with_the_bits_of_an_uninterrupted_one(
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    assert encoder(run, "--out", whole) == 0
    train_step = Trainer.train_step

    def interrupted(trainer: Trainer, *batch: torch.Tensor) -> torch.Tensor:
        if trainer.step == 4:
            signal.raise_signal(signal.SIGTERM)
        return train_step(trainer, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", interrupted)
        assert encoder(run, "--out", parts) == 143
    assert "stopped at step 5, which is saved" in capsys.readouterr().err
    assert state(parts)["step"] == 5
    assert not (parts / "encoder.onnx").exists()
    assert encoder(run, "--out", parts, "--resume") == 0
    first, second = state(whole), state(parts)
    for name in ("step", "network", "adam", "random"):
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)


def test_a_finished_training_is_exported_again(version: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert encoder(version, "--no-real-images", "--out", out) == 0
    first = card.read(version)
    (version / "encoder.onnx").unlink()
    card.write(first.model_copy(update={"encoder": None}), version)
    elsewhere = out.rename(tmp_path / "elsewhere")
    options = json.loads((elsewhere / "options.json").read_text())
    options["options"] |= {"device": "cuda", "out": "/gone"}
    (elsewhere / "options.json").write_text(json.dumps(options))
    call = ["encoder", str(version), "--resume", f"--out={elsewhere}", "--device=cpu"]
    assert main(call) == 0
    second = card.read(version)
    assert second.encoder == first.encoder
    assert second.encoder is not None
    card.load_graph(version, second.encoder)


def test_training_stops_when_the_time_is_over(run: Path) -> None:
    call = ["encoder", str(run), "--device=cpu", "--threads=1", "--batch-size=2"]
    assert main([*call, "--minutes=0.001", "--no-real-images"]) == 0
    assert state(Run(run).encoder)["seconds"] >= 0.06


def export(run: Path, models: Path) -> Path:
    assert main(["export", str(run), "--name=mine", "--version=1", f"--models={models}"]) == 0
    return models / "mine" / "1"


def test_export_publishes_the_encoder_of_the_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encoder(run) == 0
    folder = export(run, tmp_path / "models")
    assert f"published {folder} with its encoder" in capsys.readouterr().out
    described = card.read(folder)
    assert described.encoder is not None
    graph = card.load_graph(folder, described.encoder)
    props = onnx.load_from_string(graph).metadata_props
    assert {one.key: one.value for one in props} == described.metadata()
    metrics = record(Run(run).encoder).metrics
    assert described.metrics["encoder_pixels"] == metrics["encoder_pixels"].for_card()
    images = np.zeros((2, 1, 16, 16), np.uint8)
    before = (Run(run).encoder / "encoder.onnx").read_bytes()
    np.testing.assert_array_equal(Session(graph).rows(images), Session(before).rows(images))


def test_an_encoder_of_another_checkpoint_is_not_published(
    run: Path, tmp_path: Path, fit: Fit
) -> None:
    assert encoder(run) == 0
    assert fit(run, "--resume", "--conditional", "auto", "--epochs", 2) == 0
    assert card.read(export(run, tmp_path / "models")).encoder is None


def test_an_encoder_whose_file_is_another_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encoder(run) == 0
    (Run(run).encoder / "encoder.onnx").write_bytes(b"another")
    call = ["export", str(run), "--name=mine", "--version=1", f"--models={tmp_path}"]
    assert main(call) == 1
    assert "encoder.onnx: has SHA-256" in capsys.readouterr().err


def test_an_encoder_is_measured_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert encoder(run) == 0
    before = record(Run(run).encoder)
    capsys.readouterr()
    evaluation.evaluate(run, EvaluateOptions(device="cpu"))
    after = record(Run(run).encoder)
    assert after.model_copy(update={"seconds": 0, "milliseconds": 0}) == before.model_copy(
        update={"seconds": 0, "milliseconds": 0}
    )
    assert "encoder_pixels " in capsys.readouterr().out


def test_an_encoder_of_a_version_is_measured_again(
    version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_flags: list[str]
) -> None:
    data = Path(tiny_flags[tiny_flags.index("--data-dir") + 1])
    options = EvaluateOptions(device="cpu", data_dir=data)
    evaluation.evaluate(version, options)
    assert "encoder_pixels" not in capsys.readouterr().out
    assert encoder(version, "--no-real-images", "--out", tmp_path / "out") == 0
    before = card.read(version)
    evaluation.evaluate(version, options)
    assert "encoder_pixels " in capsys.readouterr().out
    assert card.read(version) == before


def test_the_figure_shows_images_and_their_reconstructions(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconstructions, "STEPS", 4)
    assert encoder(run) == 0
    found = find(run, 5)
    assert found is not None
    model = loaded_model.load(run, CPU)
    content = reconstructions.of_model(model, run, CPU, found, FiguresOptions(scale=1))
    with Image.open(io.BytesIO(content)) as picture:
        pixels = np.asarray(picture.convert("L"))[:, reconstructions.CAPTION_WIDTH :]
    assert pixels.shape == (3 * 17 - 1, 12 * 17 - 1)
    rows = np.pad(pixels, (0, 1)).reshape(3, 17, 12, 17).swapaxes(1, 2)[:, :, :16, :16]
    shown = rows[0][:, None]
    drawn = subject.load(run, CPU).model.draw(
        Session(found.graph).rows(np.ascontiguousarray(shown))
    )
    np.testing.assert_allclose(rows[1], drawn[..., 0], atol=1)


def test_a_version_without_real_images_has_the_other_figures(
    version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encoder(version, "--no-real-images", "--out", tmp_path / "out") == 0
    described = card.read(version)
    dataset = described.dataset.model_copy(update={"name": "holidays"})
    card.write(described.model_copy(update={"dataset": dataset}), version)
    out = tmp_path / "figures"
    assert main(["figures", str(version), "--device=cpu", f"--out={out}"]) == 0
    assert "reconstructions: skipped, because tiny/1: was trained on" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {"walk.png", "arithmetic.png"}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "already contains an encoder; continue it with --resume"),
        (["--resume", "--seed=3"], "--seed 3 contradicts the training, which began with --seed 0"),
    ],
)
def test_what_contradicts_an_encoder_in_the_folder_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
) -> None:
    assert encoder(run) == 0
    capsys.readouterr()
    assert encoder(run, *flags) == 1
    assert words in capsys.readouterr().err


def test_a_full_disk_is_an_error_that_names_the_file(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Run(run).encoder / "metrics.jsonl"
    path.parent.mkdir()
    path.symlink_to("/dev/full")
    assert encoder(run) == 1
    assert f"{path}: the disk is full, " in (error := capsys.readouterr().err)
    assert "then continue with --resume" in error


def test_there_must_be_an_encoder_to_resume(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert encoder(run, "--resume") == 1
    assert "has no encoder to resume: No such file" in capsys.readouterr().err


def test_the_encoder_of_another_generator_is_not_resumed(
    run: Path, version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("--no-real-images", "--out", tmp_path / "out")
    assert encoder(run, *call) == 0
    assert encoder(version, *call, "--resume") == 1
    assert "has the encoder of step 5, not of tiny/1" in capsys.readouterr().err


def test_unknown_real_images_must_be_named(
    version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    described = card.read(version)
    dataset = described.dataset.model_copy(update={"name": "holidays"})
    card.write(described.model_copy(update={"dataset": dataset}), version)
    assert encoder(version, "--out", tmp_path / "out") == 1
    assert "was trained on holidays, which is no data set known here" in capsys.readouterr().err
