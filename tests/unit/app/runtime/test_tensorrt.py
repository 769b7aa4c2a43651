"""TensorRT without a GPU: onnxruntime's options, and the cache of engines.

A CPU session stands in for the GPU's, and writes a file where the provider writes its engine.
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
from app.runtime.cuda_graphs import CudaGraphs
from app.runtime.engine import Engine
from app.runtime.providers import Placement
from app.settings import Settings
from tests import conditional

CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
VERSION = Path("fashion-mnist/2")


class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
    """Reports TensorRT as its provider."""

    def get_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]


class Gpu:
    """Simulates a GPU with TensorRT. Its engines are files that hold its ``generation``."""

    def __init__(self, generation: str = "10.0") -> None:
        self.generation = generation
        self.options: list[dict[str, str]] = []
        self.built = 0

    def __call__(self, graph: bytes, options: Any, providers: list[Any]) -> Session:
        (name, provider_options), (second, _), last = providers
        assert (name, second, last) == (TENSORRT, CUDA, CPU)
        self.options.append(provider_options)
        self._engine(provider_options.get("trt_engine_cache_path"))
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
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """A machine with such a GPU."""
    found = Gpu()
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr("app.runtime.providers.ort.InferenceSession", found)
    monkeypatch.setattr("app.runtime.engine.CudaGraphs", partial(CudaGraphs, device="cpu"))
    return found


def engine(models: Path, **flags: Any) -> Engine:
    return loader.load(
        models / VERSION, Settings(models=models, provider="tensorrt", **flags)
    ).engine


def test_one_engine_serves_every_batch_size(models: Path, gpu: Gpu) -> None:
    loaded = engine(models, max_batch=24)
    assert (loaded.provider, loaded.precision) == ("tensorrt", "fp32")
    assert loaded.is_experimental
    rows = sampling.from_seeds(range(30), 64)
    drawn = loaded({"latents": rows})
    assert drawn.shape == (30, 28, 28, 1)
    np.testing.assert_array_equal(loaded({"latents": rows[:3]}), drawn[:3])
    assert gpu.built == 1
    assert gpu.options == [
        {
            "trt_fp16_enable": "0",
            "trt_profile_min_shapes": "latents:1x64",
            "trt_profile_opt_shapes": "latents:24x64",
            "trt_profile_max_shapes": "latents:24x64",
        }
    ]


def test_an_engine_has_the_shapes_of_latents_and_conditions(tmp_path: Path, gpu: Gpu) -> None:
    conditional.publish("shoes", tmp_path)
    settings = Settings(provider="tensorrt", max_batch=24, models=tmp_path)
    version = loader.load(tmp_path / "shoes/1", settings)
    assert version.engine(version.rows_from_seeds([1, 2, 3])).shape == (3, 3, 4, 1)
    assert gpu.options[0]["trt_profile_min_shapes"] == "latents:1x8,classes:1x4"
    assert gpu.options[0]["trt_profile_max_shapes"] == "latents:24x8,classes:24x4"


def test_half_precision_is_requested_and_reported(models: Path, gpu: Gpu) -> None:
    loaded = engine(models, precision="fp16")
    assert loaded.precision == "fp16"
    assert " tensorrt fp16 " in loaded.identity
    assert gpu.options[0]["trt_fp16_enable"] == "1"


def test_the_libraries_from_pip_are_loaded_first(
    models: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries = ModuleType("tensorrt_libs")
    libraries.__spec__ = ModuleSpec("tensorrt_libs", None)
    monkeypatch.setitem(sys.modules, "tensorrt_libs", libraries)
    engine(models)
    assert gpu.built == 1


def test_the_second_start_uses_the_engine_of_the_first(
    models: Path, gpu: Gpu, tmp_path: Path
) -> None:
    cache = tmp_path / "not" / "yet"
    for _ in range(3):
        engine(models, engine_cache=cache)
    assert gpu.built == 1
    (folder,) = cache.iterdir()  # no temporary files remain
    assert [path.name for path in folder.iterdir()] == ["some.engine"]


def test_each_graph_precision_and_batch_size_has_its_own_engine(
    models: Path, gpu: Gpu, tmp_path: Path
) -> None:
    settings = partial(Settings, models=models, provider="tensorrt", engine_cache=tmp_path)
    loader.load(models / "faces/1", settings())
    for flags in ({}, {"precision": "fp16"}, {"max_batch": 32}):
        loader.load(models / VERSION, settings(**flags))
    assert gpu.built == len(list(tmp_path.iterdir())) == 4


def test_an_engine_that_cannot_be_loaded_is_replaced(
    models: Path, gpu: Gpu, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine(models, engine_cache=tmp_path)
    gpu.generation = "10.1"
    engine(models, engine_cache=tmp_path)
    assert "could not deserialize engine" in caplog.text
    assert gpu.built == 2
    engine(models, engine_cache=tmp_path)
    assert gpu.built == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failed_build_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    def load(folder: Path | None) -> None:
        assert folder
        (folder / "half.engine").write_text("")
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        tensorrt.cached(tmp_path, "engine", load)
    assert list(tmp_path.iterdir()) == []


def test_one_of_two_engines_built_at_the_same_time_is_cached(tmp_path: Path) -> None:
    def load(folder: Path | None, content: str = "outer") -> str:
        assert folder
        (folder / "whole.engine").write_text(content)
        if content == "outer":
            tensorrt.cached(tmp_path, "engine", partial(load, content="inner"))
        return content

    assert tensorrt.cached(tmp_path, "engine", load) == "outer"
    (folder,) = tmp_path.iterdir()
    assert (folder / "whole.engine").exists()


@pytest.mark.usefixtures("gpu")
def test_a_cache_that_cannot_be_written_is_an_error(models: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match=r"engine_cache=.*/file: cannot store engines there"):
        engine(models, engine_cache=tmp_path / "file")


def test_the_name_of_an_engine_depends_on_graph_precision_and_batch_size() -> None:
    placement = Placement("tensorrt", precision="fp16")
    found = tensorrt.engine_name(b"graph", placement, 64)
    assert found != tensorrt.engine_name(b"other", placement, 64)
    assert "-fp16-64-onnxruntime-" in found
