"""TensorRT as far as a CPU can tell: what onnxruntime is asked, and what becomes of engines.

A CPU session stands for the card's, which writes a file where the provider writes its engine.
"""

import sys
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

from app.errors import StartupError
from app.latent import sampling
from app.registry import loader
from app.runtime import tensorrt
from app.runtime.cuda_graphs import Buckets
from app.runtime.engine import Engine
from app.runtime.providers import Placement
from app.settings import Settings

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
VERSION = Path("fashion-mnist/2")


class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
    """Says that it is TensorRT's."""

    def get_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]


class Card:
    """A card with TensorRT. Its engines are files that say of which of them they are."""

    def __init__(self, generation: str = "10.0") -> None:
        self.generation = generation
        self.told: list[dict[str, str]] = []
        self.built = 0

    def __call__(self, graph: bytes, options: Any, providers: list[Any]) -> Session:
        (name, told), (second, _), last = providers
        assert (name, second, last) == (TENSORRT, CUDA, CPU)
        self.told.append(told)
        self._engine(told.get("trt_engine_cache_path"))
        return Session(graph, options, providers=[CPU])

    def _engine(self, folder: str | None) -> None:
        file = Path(folder) / "some.engine" if folder else None
        if file and file.exists():
            if file.read_text() != self.generation:
                raise RuntimeError("could not deserialize engine")
            return
        self.built += 1
        if file:
            file.write_text(self.generation)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Card:
    """One that has such a card."""
    found = Card()
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr("app.runtime.providers.ort.InferenceSession", found)
    monkeypatch.setattr("app.runtime.engine.Buckets", partial(Buckets, device="cpu"))
    return found


def engine(models: Path, **told: Any) -> Engine:
    return loader.load(models / VERSION, Settings(provider="tensorrt", **told)).engine


def test_one_engine_is_for_every_batch(models: Path, machine: Card) -> None:
    loaded = engine(models, max_batch=24)
    assert (loaded.provider, loaded.precision) == ("tensorrt", "fp32")
    rows = sampling.from_seeds(range(30), 64)
    drawn = loaded({"latents": rows})
    assert drawn.shape == (30, 28, 28, 1)
    np.testing.assert_array_equal(loaded({"latents": rows[:3]}), drawn[:3])
    assert machine.built == 1
    assert machine.told == [
        {
            "trt_fp16_enable": "0",
            "trt_profile_min_shapes": "latents:1x64",
            "trt_profile_opt_shapes": "latents:24x64",
            "trt_profile_max_shapes": "latents:24x64",
        }
    ]


def test_half_precision_is_asked_for_and_told(models: Path, machine: Card) -> None:
    loaded = engine(models, precision="fp16")
    assert loaded.precision == "fp16"
    assert " tensorrt fp16 " in loaded.identity
    assert machine.told[0]["trt_fp16_enable"] == "1"


def test_what_pip_installed_of_it_is_loaded_first(
    models: Path, machine: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = ModuleType("tensorrt_libs")
    libraries.__spec__ = ModuleSpec("tensorrt_libs", None)
    monkeypatch.setitem(sys.modules, "tensorrt_libs", libraries)
    engine(models)
    assert machine.built == 1


def test_the_second_start_finds_the_engine_of_the_first(
    models: Path, machine: Card, tmp_path: Path
) -> None:
    cache = tmp_path / "not" / "yet"
    for _ in range(3):
        engine(models, engine_cache=cache)
    assert machine.built == 1
    (kept,) = cache.iterdir()  # and nothing of how it came to be
    assert [path.name for path in kept.iterdir()] == ["some.engine"]


def test_other_weights_precisions_and_batches_have_engines_of_their_own(
    models: Path, machine: Card, tmp_path: Path
) -> None:
    settings = partial(Settings, provider="tensorrt", engine_cache=tmp_path)
    loader.load(models / "fashion-mnist/1", settings())
    for told in ({}, {"precision": "fp16"}, {"max_batch": 32}):
        loader.load(models / VERSION, settings(**told))
    assert machine.built == len(list(tmp_path.iterdir())) == 4


def test_an_engine_that_does_not_serve_any_more_is_replaced(
    models: Path, machine: Card, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine(models, engine_cache=tmp_path)
    machine.generation = "10.1"
    engine(models, engine_cache=tmp_path)
    assert "could not deserialize engine" in caplog.text
    assert machine.built == 2
    engine(models, engine_cache=tmp_path)
    assert machine.built == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_an_engine_that_cannot_be_built_leaves_nothing(tmp_path: Path) -> None:
    def make(folder: Path | None) -> None:
        assert folder
        (folder / "half.engine").write_text("")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        tensorrt.kept(tmp_path, "engine", make)
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_build_at_the_same_time_one_is_kept(tmp_path: Path) -> None:
    def make(folder: Path | None, says: str = "outer") -> str:
        assert folder
        (folder / "whole.engine").write_text(says)
        if says == "outer":
            tensorrt.kept(tmp_path, "engine", partial(make, says="inner"))
        return says

    assert tensorrt.kept(tmp_path, "engine", make) == "outer"
    (kept,) = tmp_path.iterdir()
    assert (kept / "whole.engine").exists()


@pytest.mark.usefixtures("machine")
def test_a_place_where_nothing_can_be_kept_is_refused(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"engine_cache=.*/file: no engine can be kept there"):
        engine(models, engine_cache=tmp_path / "file")


def test_the_folder_tells_graph_precision_and_batch() -> None:
    place = Placement("tensorrt", precision="fp16")
    found = tensorrt.name(b"graph", place, 64)
    assert found != tensorrt.name(b"other", place, 64)
    assert "-fp16-64-onnxruntime-" in found
