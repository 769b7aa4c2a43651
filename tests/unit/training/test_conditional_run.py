"""Conditional runs, from ``fit`` to the published version, through the command line."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from app.artifact import card
from app.artifact.card import Latent
from training.__main__ import main
from training.export.cpu_session import run_graph
from training.gan.conditional import rows_of, sheet_rows
from training.run.journal import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, fit: Callable[..., int]) -> Path:
    """The folder of a conditional run. Read only."""
    out = tmp_path_factory.mktemp("conditional") / "run"
    assert fit(out, "--conditional", "auto") == 0
    return out


@pytest.fixture(scope="module")
def version(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The version published from ``run``. Read only."""
    models = tmp_path_factory.mktemp("models")
    arguments = ["--name", "tiny", "--version", "1", "--models", str(models)]
    assert main(["export", str(run), *arguments]) == 0
    return models / "tiny" / "1"


def test_the_run_records_the_classes_and_their_shares(run: Path) -> None:
    classes = Run(run).data().classes
    assert classes is not None
    assert [one.name for one in classes][:3] == ["t-shirt", "trouser", "pullover"]
    assert sum(one.share for one in classes) == pytest.approx(1, abs=1e-5)


def test_the_card_and_the_graph_have_the_classes(run: Path, version: Path) -> None:
    found = card.read(version)
    assert found.classes == Run(run).data().classes
    model = onnx.load_from_string((version / "generator.onnx").read_bytes())
    assert [node.name for node in model.graph.input] == list(found.inputs) == ["latents", "classes"]


def test_the_graph_draws_other_images_for_other_classes(version: Path) -> None:
    graph = (version / "generator.onnx").read_bytes()
    rows = sheet_rows(Latent(width=4, prior="normal"), card.read(version).sampler)
    images = run_graph(graph, rows, 10).reshape(10, 8, -1)
    assert all((images[0] != other).any() for other in images[1:])


def test_the_sheets_have_a_row_for_each_class(run: Path, version: Path) -> None:
    with Image.open(Run(run).samples(2)) as sheet:
        assert sheet.size == (8 * 16, 10 * 16)
    rows = sheet_rows(Latent(width=4, prior="normal"), card.read(version).sampler)
    drawn = run_graph((version / "generator.onnx").read_bytes(), rows, 10)
    sheet = np.asarray(Image.open(io.BytesIO((version / "samples.png").read_bytes())))
    tiles = sheet.reshape(10, 16, 8, 16).swapaxes(1, 2).reshape(80, 16, 16, 1)
    np.testing.assert_array_equal(tiles, drawn)


def test_a_resumed_run_ends_with_the_bits_of_an_uninterrupted_one(
    run: Path, fit: Callable[..., int], tmp_path: Path
) -> None:
    parts = tmp_path / "run"
    assert fit(parts, "--conditional", "classes", "--epochs", 1) == 0
    assert fit(parts, "--conditional", "classes", "--resume") == 0
    first, second = (
        torch.load(Run(folder).checkpoint, weights_only=True) for folder in (run, parts)
    )
    for name, values in first["generator"].items():
        assert torch.equal(values, second["generator"][name])


def test_labels_cannot_change_when_a_run_is_resumed(
    run: Path, fit: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    assert fit(folder, "--conditional", "none", "--resume") == 1
    assert "--conditional none contradicts the run" in capsys.readouterr().err


def test_a_run_of_some_classes_has_their_images_alone(
    fit: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--conditional", "auto", "--epochs", 1, "--batch-size", 2)
    assert fit(tmp_path / "run", *flags, "--classes", "bag,coat") == 0
    found = Run(tmp_path / "run").data().classes
    assert found is not None
    assert [one.name for one in found] == ["bag", "coat"]
    assert fit(tmp_path / "other", *flags, "--classes", "shoe") == 1
    assert "shoe: no such class; there are t-shirt, trouser, " in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_run_of_an_early_version_is_unconditional(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    options = Run(folder).options
    lines = [line for line in options.read_text().splitlines() if '"conditional"' not in line]
    options.write_text("\n".join(lines))
    assert Run(folder).config().conditional == "none"


def test_the_seeds_of_the_card_are_those_of_the_training(run: Path, version: Path) -> None:
    latent = Latent(width=4, prior="normal")
    np.testing.assert_array_equal(
        rows_of(range(99), latent, card.read(version).sampler),
        rows_of(range(99), latent, Run(run).data().sampler),
    )


def test_a_run_is_not_resumed_with_other_labels(
    run: Path,
    fit: Callable[..., int],
    write_data: Callable[..., Path],
    encode: Callable[[np.ndarray], bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_data(tmp_path / "data")
    (data / "train-labels-idx1-ubyte").write_bytes(encode(np.ones(40, dtype=np.uint8)))
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    assert fit(folder, "--conditional", "auto", "--resume", "--data-dir", data) == 1
    assert "the run began with other data: other classes\n" in capsys.readouterr().err
