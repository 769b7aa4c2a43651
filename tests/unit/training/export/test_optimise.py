"""Faster graphs for a published version, chosen by their throughput."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from app.artifact import card
from app.artifact.card import INPUT, Card
from app.latent import sampling
from app.registry import loader
from app.runtime import providers
from app.runtime.providers import Placement, ProviderError
from app.settings import Settings
from training.__main__ import main
from training.errors import ExportError
from training.export import optimise
from training.export.optimise import CANDIDATES, Throughput

SPLIT = {"plain": 100.0, "folded": 101.0, "shuffled": 90.0, "split": 150.0}


@pytest.fixture(autouse=True)
def fewer_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compares graphs on fewer images, which takes less time."""
    monkeypatch.setattr(optimise, "PARITY_SEEDS", 64)


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(models / "fashion-mnist" / "1", tmp_path / "fashion-mnist" / "1"))


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, float]], None]:
    """Sets the measured throughput of every graph."""

    def set_to(rates: dict[str, float]) -> None:
        monkeypatch.setattr(optimise, "PROVIDERS", ("cpu",))
        monkeypatch.setattr(optimise, "measure", lambda place, *_: Throughput(place, rates))

    return set_to


def pixels(folder: Path) -> np.ndarray:
    engine = loader.load(folder, Settings(models=folder.parents[1])).engine
    return engine({INPUT: sampling.from_seeds(range(64), 100)})


def call(folder: Path) -> Card:
    assert main(["optimise", str(folder)]) == 0
    return card.read(folder)


def test_every_graph_is_measured_and_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(optimise, "ROUNDS", 1)
    before = pixels(folder)
    model_card = call(folder)
    output = capsys.readouterr().out
    assert output.startswith("cpu in fp32: plain ")
    assert all(f"{name} " in output for name in CANDIDATES)
    assert {one.file for one in model_card.variants} == {
        path.name for path in folder.glob("*.onnx")
    }
    difference = np.abs(pixels(folder).astype(int) - before)
    assert (difference == 0).mean() >= 0.999


def test_a_faster_graph_is_stored_and_served(
    folder: Path, rates: Callable[[dict[str, float]], None]
) -> None:
    before, plain = pixels(folder), (folder / "generator.onnx").read_bytes()
    rates(SPLIT)
    model_card = call(folder)
    variant = model_card.variant("cpu")
    assert (variant.file, variant.provider) == ("generator.cpu.onnx", "cpu")
    assert model_card.metrics["speed_up_cpu"].value == 1.5
    assert "split" in model_card.metrics["speed_up_cpu"].protocol
    assert (folder / "generator.onnx").read_bytes() == plain
    assert model_card.variant("cuda").file == "generator.onnx"
    operators = {node.op_type for node in onnx.load(folder / variant.file).graph.node}
    assert "ConvTranspose" not in operators
    difference = np.abs(pixels(folder).astype(int) - before)
    assert (difference == 0).mean() >= 0.999
    assert difference.max() <= 1


def test_a_graph_that_is_no_longer_faster_is_deleted(
    folder: Path, rates: Callable[[dict[str, float]], None]
) -> None:
    rates(SPLIT)
    call(folder)
    rates({**SPLIT, "split": 109.0})
    model_card = call(folder)
    assert model_card.variant("cpu").file == "generator.onnx"
    assert "speed_up_cpu" not in model_card.metrics
    assert not (folder / "generator.cpu.onnx").exists()


def test_a_version_that_cannot_be_read_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "generator.onnx").write_bytes(b"")
    assert main(["optimise", str(folder)]) == 1
    assert "generator.onnx: has SHA-256" in capsys.readouterr().err


def test_graphs_are_measured_through_the_session_of_other_providers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimise, "ROUNDS", 2)
    graph, batches = (folder / "generator.onnx").read_bytes(), []

    def run(_: None, inputs: dict[str, np.ndarray]) -> None:
        batches.append(inputs[INPUT].shape)

    monkeypatch.setattr(providers, "session", lambda *_: SimpleNamespace(run=run))
    place = Placement("openvino")
    found = optimise.measure(place, {"plain": graph}, sampling.from_seeds(range(3), 100))
    assert found.placement == place
    assert found.rates["plain"] > 0
    assert batches == [(3, 100)] * 2


def test_a_provider_that_does_not_start_cannot_be_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def session(*_: object) -> None:
        raise ProviderError("it does not start")

    monkeypatch.setattr(providers, "session", session)
    with pytest.raises(ExportError, match="provider cuda: it does not start"):
        optimise.measure(Placement("cuda"), {"plain": b""}, sampling.from_seeds([0], 100))
