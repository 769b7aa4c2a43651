import importlib.metadata
import io
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from app.artifact import card
from app.artifact.card import Card
from app.imaging import png, sheets
from app.latent import sampling
from training.__main__ import main
from training.config import PLACEMENT, Config
from training.errors import ExportError, RunError
from training.export import parity, publish
from training.export.cpu_session import run_graph
from training.export.graph import build_graph
from training.export.publish import export
from training.gan import networks
from training.gan.pixels import to_pixels
from training.image_size import ImageSize
from training.run.journal import Run


@pytest.fixture(scope="module")
def version(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the finished run's generator, published by the command line."""
    models = tmp_path_factory.mktemp("somewhere") / "models"
    call = ["export", str(finished_run), "--name", "tiny", "--version", "3"]
    assert main([*call, "--models", str(models)]) == 0
    return models / "tiny" / "3"


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A finished run that may be damaged."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


# The published version.


def test_a_version_has_a_card_a_graph_and_samples_only(version: Path) -> None:
    assert {path.name for path in version.iterdir()} == {
        "card.json",
        "generator.onnx",
        "samples.png",
    }
    assert [path.name for path in version.parent.iterdir()] == ["3"]
    assert [path.name for path in version.parent.parent.iterdir()] == ["tiny"]


def test_the_command_says_where_the_version_is(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["export", str(finished_run), "--name", "tiny", "--version", "1"]
    assert main([*call, "--models", str(tmp_path)]) == 0
    assert str(tmp_path / "tiny" / "1") in capsys.readouterr().out


def test_the_card_describes_the_run(version: Path, finished_run: Path) -> None:
    made, run = card.read(version), Run(finished_run)
    assert (made.name, made.version) == ("tiny", 3)
    assert (datetime.now(UTC) - made.created).total_seconds() >= 0
    assert (made.latent.width, made.latent.prior) == (4, "normal")
    assert (made.image.height, made.image.width, made.image.channels) == (16, 16, 1)
    assert (made.dataset.name, made.dataset.images) == ("fashion-mnist", 40)
    assert (made.training.epochs, made.training.steps) == (2, 10)
    assert made.training.device == run.epochs()[-1]["device"]
    seconds = sum(line["seconds"] for line in run.epochs())
    assert made.training.seconds == pytest.approx(seconds, abs=0.06)
    assert set(made.libraries) == {"torch", "onnx", "onnxruntime", "numpy"}


def test_the_card_has_the_options_without_the_placement(version: Path, finished_run: Path) -> None:
    options = json.loads((finished_run / "options.json").read_text())
    kept = card.read(version).training.options
    assert kept == {name: value for name, value in options.items() if name not in PLACEMENT}
    assert str(finished_run.parent) not in (version / "card.json").read_text()


def test_the_parity_is_measured_with_its_protocol(version: Path) -> None:
    parity = card.read(version).metrics["parity"]
    assert 0 <= parity.value <= 0.001
    assert f"{publish.PARITY_SEEDS} seeds" in parity.protocol


def test_the_graph_has_the_metadata_of_the_card(version: Path) -> None:
    made = card.read(version)
    (variant,) = made.variants
    model = onnx.load_from_string(card.load_graph(version, variant))
    assert {prop.key: prop.value for prop in model.metadata_props} == made.metadata()
    assert model.opset_import[0].version == made.opset


def test_the_sheet_shows_what_the_graph_draws_from_the_first_64_seeds(version: Path) -> None:
    sheet = np.asarray(Image.open(io.BytesIO((version / "samples.png").read_bytes())))
    drawn = run_graph((version / "generator.onnx").read_bytes(), sampling.from_seeds(range(64), 4))
    np.testing.assert_array_equal(sheet, sheets.sheet(drawn, 8)[:, :, 0], strict=True)


def test_the_averaged_generator_is_the_one_that_is_published(
    version: Path, finished_run: Path
) -> None:
    state = torch.load(finished_run / "checkpoints" / "last.pt", weights_only=True)
    model = onnx.load_from_string((version / "generator.onnx").read_bytes())
    (first,) = (x for x in model.graph.initializer if x.name == model.graph.node[0].input[1])
    averaged = state["average"]["module.0.weight"]
    assert not averaged.equal(state["generator"]["0.weight"])
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(first), averaged.numpy())


def test_publishing_again_elsewhere_gives_the_same_graph(
    version: Path, finished_run: Path, tmp_path: Path
) -> None:
    again = export(finished_run, "tiny", 3, tmp_path)
    assert (again / "generator.onnx").read_bytes() == (version / "generator.onnx").read_bytes()
    with Image.open(again / "samples.png") as sheet, Image.open(version / "samples.png") as first:
        assert sheet.tobytes() == first.tobytes()


def test_a_line_after_the_checkpoint_is_not_counted(run_copy: Path, tmp_path: Path) -> None:
    # A run that is interrupted between writing its line and its checkpoint has an extra line.
    run = Run(run_copy)
    with run.metrics.open("a") as file:
        file.write(json.dumps({**run.epochs()[-1], "epoch": 3, "step": 15}) + "\n")
    output = card.read(export(run_copy, "tiny", 1, tmp_path / "models")).training
    assert (output.epochs, output.steps) == (2, 10)


def test_the_gpu_build_of_onnxruntime_is_accepted(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both builds are the module onnxruntime, but the GPU's is the package onnxruntime-gpu.
    found = importlib.metadata.Distribution.from_name

    def from_name(name: str) -> importlib.metadata.Distribution:
        if name == "onnxruntime":
            raise importlib.metadata.PackageNotFoundError(name)
        return found("numpy" if name == "onnxruntime-gpu" else name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", from_name)
    assert "onnxruntime" in " ".join(card.read(export(finished_run, "a", 1, tmp_path)).libraries)


# Errors.


@pytest.mark.parametrize(
    "name", ["", "Upper", "a/b", "..", "-a", "a b", "a\n", "é", "a" * 65, ".part-a"]
)
def test_a_name_that_the_server_would_not_serve_is_refused(
    finished_run: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(ExportError) as caught:
        export(finished_run, name, 1, tmp_path / "models")
    allowed = "1 to 64 lower-case letters, digits and hyphens, no hyphen first"
    assert str(caught.value) == f"--name {shlex.quote(name)}: must be {allowed}"
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("number", [-1, 0, 2**31])
def test_a_version_out_of_bounds_is_refused(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    call = ["export", str(finished_run), "--name", "a", "--version", str(number)]
    assert main([*call, "--models", str(tmp_path / "models")]) == 1
    expected = f"error: --version {number}: must be from 1 to 2147483647\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "models").exists()


def test_a_published_version_never_changes(version: Path, finished_run: Path) -> None:
    before = {path: path.read_bytes() for path in version.iterdir()}
    with pytest.raises(ExportError, match="already exists") as caught:
        export(finished_run, "tiny", 3, version.parent.parent)
    assert str(version) in str(caught.value)
    assert {path: path.read_bytes() for path in version.iterdir()} == before


@pytest.mark.parametrize("missing", ["options.json", "data.json", "checkpoints/last.pt"])
def test_a_run_that_lacks_a_part_is_refused_by_its_name(
    run_copy: Path, tmp_path: Path, missing: str
) -> None:
    (run_copy / missing).unlink()
    with pytest.raises(RunError) as caught:
        export(run_copy, "tiny", 1, tmp_path / "models")
    expected = f"no run in {run_copy}" if missing == "options.json" else str(run_copy / missing)
    assert expected in str(caught.value)
    assert not (tmp_path / "models").exists()


def test_without_onnxruntime_the_extra_is_named(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install '\.\[cpu\]'"):
        export(finished_run, "tiny", 1, tmp_path / "models")
    assert not (tmp_path / "models").exists()


# The parity check.


@pytest.fixture
def generators() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    first, second = (networks.generator(4, 1, ImageSize.square(16), 2).eval() for _ in range(2))
    return first, second


def test_a_graph_that_draws_something_else_is_refused(
    generators: tuple[nn.Module, nn.Module],
) -> None:
    seeds = sampling.from_seeds(range(8), 4)
    content = build_graph(generators[0], 4, (16, 16, 1), {})
    expected, other = (to_pixels(network, torch.from_numpy(seeds)) for network in generators)
    pixels, share = parity.check(expected, content, seeds)
    np.testing.assert_array_equal(pixels, run_graph(content, seeds))
    assert share.value <= 0.001
    with pytest.raises(ExportError, match="does not draw what the generator draws"):
        parity.check(other, content, seeds)
    with pytest.raises(ExportError, match=r"draws \(8, 16, 16, 1\), the generator \(8, 8, 16, 1\)"):
        parity.check(expected[:, ::2], content, seeds)


@pytest.mark.parametrize(
    ("pixels", "levels", "accepted"),
    [(0, 0, True), (2, 1, True), (2, -1, True), (3, 1, False), (1, 2, False), (1, -2, False)],
)
def test_one_grey_level_at_one_pixel_in_a_thousand_is_the_limit(
    generators: tuple[nn.Module, nn.Module],
    monkeypatch: pytest.MonkeyPatch,
    pixels: int,
    levels: int,
    accepted: bool,
) -> None:
    seeds = sampling.from_seeds(range(8), 4)  # 2048 pixels
    expected = to_pixels(generators[0], torch.from_numpy(seeds))
    drawn = expected.copy()
    drawn.reshape(-1)[:pixels] += np.uint8(levels % 256)
    monkeypatch.setattr(parity, "run_graph", lambda *_: drawn)
    if accepted:
        assert parity.check(expected, b"", seeds)[1].value == pixels / 2048
    else:
        with pytest.raises(ExportError, match=f"up to {abs(levels)} grey levels"):
            parity.check(expected, b"", seeds)


# Atomic publication.


def fail(*_: object, **__: object) -> None:
    raise OSError("no space left on device")


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (card, "write"),
        (png, "encode"),
        (card, "read"),
        (card, "load_graph"),
        (os, "fsync"),
        (Path, "rename"),
    ],
    ids=["card", "samples", "reading back", "hashing", "syncing", "renaming"],
)
def test_a_failure_while_publishing_leaves_nothing(
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    what: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(where, what, fail)
        with pytest.raises((OSError, ExportError), match="no space left"):
            export(finished_run, "tiny", 1, tmp_path)
    assert list((tmp_path / "tiny").iterdir()) == []
    assert card.read(export(finished_run, "tiny", 1, tmp_path)).version == 1


def test_a_card_that_does_not_match_its_graph_is_not_published(
    version: Path, tmp_path: Path
) -> None:
    made: Card = card.read(version)
    samples = np.zeros((4, 16, 16, 1), np.uint8)
    with pytest.raises(card.CardError, match="SHA-256"):
        publish.write_version(made, {"generator.onnx": b"other"}, samples, tmp_path / "tiny" / "3")
    assert list((tmp_path / "tiny").iterdir()) == []


def test_a_models_folder_that_cannot_be_written_is_named_without_a_traceback(
    finished_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").touch()
    call = ["export", str(finished_run), "--name", "tiny", "--version", "1"]
    assert main([*call, "--models", str(tmp_path / "models")]) == 1
    assert str(tmp_path / "models") in capsys.readouterr().err


def test_a_run_of_another_prior_is_published_with_it(
    fit: Callable[..., int], tmp_path: Path
) -> None:
    assert fit(tmp_path / "run", "--prior", "uniform", "--epochs", 1) == 0
    made = card.read(export(tmp_path / "run", "even", 1, tmp_path / "models"))
    assert made.latent.prior == "uniform"
    assert Config.model_validate(made.training.options).prior == "uniform"
