"""Where a graph runs: onnxruntime's providers, and sessions on them."""

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from app.runtime.cpus import has_bfloat16

Name = Literal["cpu", "cuda", "openvino", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16"]

_CPU, _CUDA, _OPENVINO, _TENSORRT = (
    "CPUExecutionProvider",
    "CUDAExecutionProvider",
    "OpenVINOExecutionProvider",
    "TensorrtExecutionProvider",
)
_PLUGIN = "onnxruntime_ep_openvino"
_LIBRARIES = "tensorrt_libs"
"""What pip installs of TensorRT. To import it is to load it, as no loader looks there."""
_REDUCED: dict[Precision, Name] = {"bf16": "openvino", "fp16": "tensorrt"}
"""Who has it; fp32 all have."""
_HINTS = {"fp32": "f32", "bf16": "bf16"}

# Threads that wait for the next operator spin for moments: it may be there before they slept.
# Longer, or where they have nothing to do, it takes CPUs from the event loop and the encoder.
_AWAKE = {"allow_spinning": "1", "spin_duration_us": "100"}
_ASLEEP = {"allow_spinning": "0"}


class ProviderError(Exception):
    """A provider that does not run here; the text says what to do."""


class GraphError(Exception):
    """A graph that onnxruntime cannot load."""


@dataclass(frozen=True)
class Placement:
    """Where a graph runs, and how."""

    provider: Name = "cpu"
    threads: int = 1
    """Of the CPU."""
    precision: Precision = "fp32"
    engines: Path | None = None
    """The folder where engines that took long to build are kept; None where they are not."""


def candidates(
    provider: Name | Literal["auto"] = "auto",
    precision: Precision | Literal["auto"] = "auto",
    threads: int = 1,
) -> list[Placement]:
    """What may run here of what is asked for, best first.

    Left to itself it is a GPU; else OpenVINO where the CPU has bfloat16 units, without which it is
    not the faster one; else the CPU provider. TensorRT has to be asked for: its engines take their
    time at every start, unless somebody gives them a folder. So has half precision, whose images
    are to be evaluated first. Raises ProviderError where there is nothing.
    """
    units = precision in {"auto", "bf16"} and has_bfloat16()
    if provider == "auto":
        asked: list[Name] = ["cuda", "openvino", "cpu"] if units else ["cuda", "cpu"]
        hindrances = {name: _hindrance(name, precision) for name in asked}
        found = [name for name in asked if not hindrances[name]]
    else:
        hindrances = {provider: _hindrance(provider, precision)}
        found = [] if hindrances[provider] else [provider]
    if not found:
        raise ProviderError("; ".join(filter(None, hindrances.values())))
    best: dict[Name, Precision] = {
        "openvino": "bf16" if units else "fp32",
        "tensorrt": "fp16" if precision == "fp16" else "fp32",
    }
    return [Placement(name, threads, best.get(name, "fp32")) for name in found]


def _hindrance(provider: Name, precision: Precision | Literal["auto"]) -> str | None:
    """Why ``provider`` does not run here, and what to do."""
    if precision in _REDUCED and provider != _REDUCED[precision]:
        has = " and ".join(["fp32", *(name for name, by in _REDUCED.items() if by == provider)])
        told = f"precision={precision}: provider={provider} has {has} alone"
        return f"{told}; use provider={_REDUCED[precision]}"
    if precision == "bf16" and not has_bfloat16():
        return "precision=bf16: this CPU has no bfloat16 units; use precision=fp32"
    if provider == "cuda" and not _has_cuda():
        return (
            "provider=cuda: this onnxruntime has no CUDA provider; "
            "install the extra gpu in place of cpu, or use provider=cpu"
        )
    if provider == "tensorrt" and _TENSORRT not in ort.get_available_providers():
        return (
            "provider=tensorrt: this onnxruntime has no TensorRT provider; install the extra gpu "
            "in place of cpu, and TensorRT 10, or use provider=cuda or provider=cpu"
        )
    if provider == "openvino" and not _has_openvino():
        return (
            "provider=openvino: it is not there for this CPU; install the extra openvino, "
            "or openvino-build for other CPUs than Intel's, or use provider=cpu"
        )
    return None


def _has_cuda() -> bool:
    return _CUDA in ort.get_available_providers()


def _has_openvino() -> bool:
    return _OPENVINO in ort.get_available_providers() or bool(_openvino_devices())


@cache
def _openvino_devices() -> list[Any]:
    """The CPU as the plugin sees it: nothing but Intel's. Empty where it is not installed."""
    if find_spec(_PLUGIN) is None:
        return []
    # A library can be registered once a process.
    plugin = importlib.import_module(_PLUGIN)
    ort.register_execution_provider_library(_PLUGIN, plugin.get_library_path())
    cpu = ort.OrtHardwareDeviceType.CPU
    found = ort.get_ep_devices()
    # Its other devices, such as OpenVINOExecutionProvider.AUTO, choose for themselves.
    return [one for one in found if one.ep_name == _OPENVINO and one.device.type == cpu]


def session(
    graph: bytes,
    placement: Placement,
    *,
    captured: bool = False,
    more: Mapping[str, str] | None = None,
) -> ort.InferenceSession:
    """``graph`` on the provider of ``placement``, with no other to fall back upon.

    ``captured`` lets CUDA replay runs as graphs; ``more`` are options of TensorRT. Raises
    ProviderError for a provider that does not start, GraphError for bytes that are no graph which
    it can run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = placement.threads
    for name, value in (_AWAKE if placement.provider == "cpu" else _ASLEEP).items():
        options.add_session_config_entry(f"session.intra_op.{name}", value)
    options.log_severity_level = 3  # what fails is told once, by who asked
    try:
        # From bytes, not from a path: these are the bytes whose hash was checked, and a graph
        # without a path has no folder to read further files from.
        made = ort.InferenceSession(
            graph, options, **_arguments(placement, options, captured, more or {})
        )
    except Exception as error:  # onnxruntime's errors have no common class
        first_line = str(error).partition("\n")[0]
        raise GraphError(f"onnxruntime cannot load the graph: {first_line}") from error
    made.disable_fallback()
    if placement.provider != made.get_providers()[0].removesuffix("ExecutionProvider").lower():
        raise ProviderError(
            f"provider={placement.provider}: onnxruntime has it, but it does not start; "
            f"see that what it needs is installed{_NEEDS.get(placement.provider, '')}, "
            "or use provider=cpu"
        )
    return made


_NEEDS = {
    "cuda": " (the NVIDIA driver, CUDA and cuDNN)",
    "tensorrt": " (TensorRT 10, the NVIDIA driver, CUDA and cuDNN)",
}


def _arguments(
    placement: Placement, options: ort.SessionOptions, captured: bool, more: Mapping[str, str]
) -> dict[str, Any]:
    """Which provider, as InferenceSession wants it told."""
    if placement.provider == "cuda":
        return {"providers": [_cuda(captured=captured), _CPU]}
    if placement.provider == "tensorrt":
        return {"providers": [_tensorrt(placement, more), _cuda(captured=False), _CPU]}
    if placement.provider == "cpu":
        return {"providers": [_CPU]}
    told = {
        "INFERENCE_PRECISION_HINT": _HINTS[placement.precision],
        "INFERENCE_NUM_THREADS": str(placement.threads),
    }
    config = {"load_config": json.dumps({"CPU": told})}
    if _OPENVINO in ort.get_available_providers():
        return {"providers": [(_OPENVINO, {"device_type": "CPU", **config})]}
    options.add_provider_for_devices(_openvino_devices()[:1], config)
    return {}


def _cuda(*, captured: bool) -> tuple[str, dict[str, str]]:
    return _CUDA, {
        "enable_cuda_graph": str(int(captured)),
        # By default every algorithm is timed for every shape of a convolution,
        "cudnn_conv_algo_search": "HEURISTIC",
        # and factors are rounded to 11 bits, which one pixel in fifty shows.
        "use_tf32": "0",
    }


def _tensorrt(placement: Placement, more: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """CUDA comes after it, for operators that it does not know."""
    # TensorRT rounds factors so, too, and has no option against it (onnxruntime, issue 26029).
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    if find_spec(_LIBRARIES):
        importlib.import_module(_LIBRARIES)
    return _TENSORRT, {"trt_fp16_enable": str(int(placement.precision == "fp16")), **more}
