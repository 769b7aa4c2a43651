"""Which provider runs, and the error of one that cannot."""

import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from app.errors import StartupError
from app.registry import loader
from app.runtime import providers
from app.runtime.providers import Placement, ProviderError, candidates
from app.settings import Settings

CPU, CUDA, OPENVINO, TENSORRT = (
    f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "OpenVINO", "Tensorrt")
)
VERSION = Path("fashion-mnist/2")


class Machine:
    """Simulates the providers of onnxruntime and the CPU."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.has(CPU)

    def has(self, *built_in: str, bfloat16: bool = False) -> None:
        self._patch.setattr(onnxruntime, "get_available_providers", lambda: [*built_in])
        self._patch.setattr(providers, "has_bfloat16", lambda: bfloat16)
        self._patch.setattr(providers, "openvino_devices", list)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def names(*arguments: Any) -> list[tuple[str, str]]:
    return [(one.provider, one.precision) for one in candidates(*arguments)]


def test_auto_runs_on_the_cpu_where_there_is_nothing_else(machine: Machine) -> None:
    machine.has(CPU, bfloat16=True)
    assert candidates(threads=3) == [Placement("cpu", 3, "fp32")]


def test_auto_prefers_a_gpu_then_openvino_with_bfloat16_then_the_cpu(machine: Machine) -> None:
    machine.has(CUDA, OPENVINO, CPU, bfloat16=True)
    assert names() == [("cuda", "fp32"), ("openvino", "bf16"), ("cpu", "fp32")]


def test_auto_skips_openvino_where_it_is_not_faster(machine: Machine) -> None:
    machine.has(OPENVINO, CPU, bfloat16=False)
    assert names() == [("cpu", "fp32")]
    machine.has(OPENVINO, CPU, bfloat16=True)
    assert names("auto", "fp32") == [("cpu", "fp32")]
    assert names("auto", "bf16") == [("openvino", "bf16")]


@pytest.mark.parametrize(
    ("bfloat16", "precision", "expected"),
    [(True, "auto", "bf16"), (False, "auto", "fp32"), (True, "fp32", "fp32")],
)
def test_openvino_on_request_uses_bfloat16_where_the_cpu_has_it(
    machine: Machine, bfloat16: bool, precision: str, expected: str
) -> None:
    machine.has(OPENVINO, CPU, bfloat16=bfloat16)
    assert names("openvino", precision) == [("openvino", expected)]


def test_tensorrt_and_half_precision_run_only_on_request(machine: Machine) -> None:
    machine.has(TENSORRT, CUDA, CPU, bfloat16=True)
    assert names() == [("cuda", "fp32"), ("cpu", "fp32")]
    assert names("tensorrt") == [("tensorrt", "fp32")]
    assert names("tensorrt", "fp16") == [("tensorrt", "fp16")]


@pytest.mark.parametrize(
    ("built_in", "bfloat16", "arguments", "message"),
    [
        ([CPU], True, ("cuda", "auto"), r"provider=cuda.* extra gpu"),
        ([CPU], True, ("openvino", "auto"), r"provider=openvino.* extra openvino"),
        ([CPU, OPENVINO], True, ("cpu", "bf16"), r"provider=cpu supports only fp32"),
        ([CPU, CUDA], True, ("cuda", "bf16"), r"provider=cuda supports only fp32"),
        ([CPU, OPENVINO], False, ("openvino", "bf16"), "no bfloat16 units"),
        ([CPU], False, ("auto", "bf16"), "use provider=openvino"),
        ([CPU, CUDA], True, ("tensorrt", "auto"), r"provider=tensorrt.* extra gpu .*TensorRT 10"),
        ([CPU, CUDA, TENSORRT], True, ("auto", "fp16"), "cuda supports only fp32; use .*=tensorrt"),
        ([CPU, OPENVINO], True, ("openvino", "fp16"), "openvino supports only fp32 and bf16"),
        ([CPU, TENSORRT], True, ("tensorrt", "bf16"), "tensorrt supports only fp32 and fp16"),
    ],
)
def test_the_error_of_an_unavailable_provider_says_what_to_do(
    machine: Machine, built_in: list[str], bfloat16: bool, arguments: tuple[Any, Any], message: str
) -> None:
    machine.has(*built_in, bfloat16=bfloat16)
    with pytest.raises(ProviderError, match=message):
        candidates(*arguments)


class WithoutDriver:
    """onnxruntime-gpu on a machine without a driver: it falls back to the CPU and only logs."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.requested: list[str] = []

    def __call__(self, graph: bytes, options: object, providers: list[Any]) -> Any:
        self.requested += [one if isinstance(one, str) else one[0] for one in providers]
        return self._real(graph, options, providers=[CPU])


@pytest.fixture
def broken_cuda(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> WithoutDriver:
    machine.has(CUDA, CPU)
    session = WithoutDriver(onnxruntime.InferenceSession)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    return session


def test_cuda_that_does_not_start_is_an_error(models: Path, broken_cuda: WithoutDriver) -> None:
    with pytest.raises(StartupError, match="does not start"):
        loader.load(models / VERSION, Settings(models=models, provider="cuda"))
    assert broken_cuda.requested == [CUDA, CPU]


def test_tensorrt_that_does_not_start_is_an_error(
    models: Path, machine: Machine, broken_cuda: WithoutDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")  # so that monkeypatch restores it
    machine.has(TENSORRT, CUDA, CPU)
    with pytest.raises(StartupError, match=r"provider=tensorrt: .* not start; .*TensorRT 10"):
        loader.load(models / VERSION, Settings(models=models, provider="tensorrt"))
    assert broken_cuda.requested == [TENSORRT, CUDA, CPU]
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"


@pytest.mark.usefixtures("broken_cuda")
def test_auto_continues_without_it_and_names_the_provider_that_runs(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = loader.load(models / VERSION, Settings(models=models)).engine
    assert (engine.provider, engine.precision) == ("cpu", "fp32")
    assert "provider=cuda: onnxruntime has it, but it does not start" in caplog.text


class Plugin:
    """Simulates onnxruntime-ep-openvino, and records how onnxruntime is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.registered: list[tuple[str, str]] = []
        self.chosen: list[tuple[list[Any], dict[str, str]]] = []
        module = ModuleType("onnxruntime_ep_openvino")
        module.get_library_path = lambda: "openvino.so"  # type: ignore[attr-defined]
        module.__spec__ = ModuleSpec("onnxruntime_ep_openvino", None)
        monkeypatch.setitem(sys.modules, "onnxruntime_ep_openvino", module)
        patch = partial(monkeypatch.setattr, onnxruntime, raising=False)
        patch(
            "register_execution_provider_library",
            lambda *arguments: self.registered.append(arguments),
        )
        patch("get_ep_devices", lambda: DEVICES)
        patch("get_available_providers", lambda: [CPU])
        monkeypatch.setattr(providers, "has_bfloat16", lambda: True)
        patch("SessionOptions", lambda: self)
        patch("InferenceSession", lambda *_: self)
        providers.openvino_devices.cache_clear()

    def add_session_config_entry(self, *_: str) -> None:
        """Belongs to the session options."""

    def add_provider_for_devices(self, devices: list[Any], options: dict[str, str]) -> None:
        self.chosen.append((devices, options))

    def disable_fallback(self) -> None:
        """Belongs to the session."""

    def get_providers(self) -> list[str]:
        return [OPENVINO, CPU]


HARDWARE = onnxruntime.OrtHardwareDeviceType
DEVICES = [
    SimpleNamespace(ep_name=name, device=SimpleNamespace(type=kind))
    for name, kind in [
        (CPU, HARDWARE.CPU),
        (f"{OPENVINO}.AUTO", HARDWARE.CPU),
        (OPENVINO, HARDWARE.GPU),
        (OPENVINO, HARDWARE.CPU),
    ]
]


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugin]:
    yield Plugin(monkeypatch)
    providers.openvino_devices.cache_clear()


def test_the_plugin_is_registered_once_and_runs_on_the_cpu(plugin: Plugin) -> None:
    """Follows the plugin's documentation: it offers no device on the CPUs of these tests."""
    place = candidates("openvino", "auto", 3)[0]
    assert place == Placement("openvino", 3, "bf16")
    for _ in range(2):
        providers.session(b"", place)
    assert plugin.registered == [("onnxruntime_ep_openvino", "openvino.so")]
    devices, options = plugin.chosen[-1]
    assert devices == DEVICES[3:]
    assert json.loads(options["load_config"]) == {
        "CPU": {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": "3"}
    }


def test_openvino_that_is_built_in_runs_on_the_cpu(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Any] = []

    def session(*_: object, providers: list[Any]) -> SimpleNamespace:
        chosen.extend(providers)
        return SimpleNamespace(disable_fallback=list, get_providers=lambda: [OPENVINO, CPU])

    machine.has(OPENVINO, CPU)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    providers.session(b"", Placement("openvino", 2))
    [(name, options)] = chosen
    assert (name, options["device_type"]) == (OPENVINO, "CPU")
    assert json.loads(options["load_config"]) == {
        "CPU": {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "2"}
    }


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("cpu", f"cpu fp32 onnxruntime {onnxruntime.__version__} x86_64 avx2"),
        ("openvino", f"openvino fp32 onnxruntime {onnxruntime.__version__} x86_64 avx2"),
        ("cuda", f"cuda fp32 onnxruntime {onnxruntime.__version__}"),
        ("tensorrt", f"tensorrt fp32 onnxruntime {onnxruntime.__version__}"),
    ],
)
def test_the_kind_of_cpu_identifies_only_what_computes_on_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, provider: Any, expected: str
) -> None:
    machine.has(CUDA, TENSORRT, OPENVINO, CPU)
    monkeypatch.setattr(providers, "kind_of_cpu", lambda: "x86_64 avx2")
    assert providers.identity(Placement(provider)) == expected


@pytest.mark.usefixtures("plugin")
def test_a_plugin_is_identified_by_its_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "version", {"onnxruntime_ep_openvino": "1.8.1"}.get)
    identity = providers.identity(candidates("openvino", "bf16")[0])
    assert " bf16 " in identity
    assert " onnxruntime_ep_openvino 1.8.1 " in identity
