"""onnxruntime's execution providers: which can run here, and sessions on them."""

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import onnxruntime as ort

from app.runtime.cpus import has_bfloat16
from app.runtime.instruction_sets import kind_of_cpu

ProviderName = Literal["cpu", "cuda", "openvino", "tensorrt"]
ArithmeticPrecision = Literal["fp32", "bf16", "fp16"]

_CPU, _CUDA, _OPENVINO, _TENSORRT = (
    "CPUExecutionProvider",
    "CUDAExecutionProvider",
    "OpenVINOExecutionProvider",
    "TensorrtExecutionProvider",
)
EXPERIMENTAL: frozenset[ProviderName] = frozenset({"tensorrt"})
"""The providers that have not run on their hardware yet."""
_ON_CPU: frozenset[ProviderName] = frozenset({"cpu", "openvino"})
_OPENVINO_PLUGIN = "onnxruntime_ep_openvino"
_TENSORRT_LIBRARIES = "tensorrt_libs"
"""pip's package of TensorRT. Importing it loads the libraries, which the system does not find."""
_REDUCED: dict[ArithmeticPrecision, ProviderName] = {"bf16": "openvino", "fp16": "tensorrt"}
"""The provider that supports each reduced precision; all support fp32."""
_PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16"}

# Threads that wait for the next operator spin briefly, as it may come before they fall asleep.
# Spinning longer, or with no work to expect, takes CPUs from the event loop and the encoder.
_SPINNING = {"allow_spinning": "1", "spin_duration_us": "100"}
_NOT_SPINNING = {"allow_spinning": "0"}


class ProviderError(Exception):
    """A provider that cannot run here; the text says what to do."""


class GraphError(Exception):
    """A graph that onnxruntime cannot load."""


@dataclass(frozen=True)
class Placement:
    """Where a graph runs, and how."""

    provider: ProviderName = "cpu"
    threads: int = 1
    """Number of CPU threads."""
    precision: ArithmeticPrecision = "fp32"
    engine_cache: Path | None = None
    """Folder of TensorRT engines, which take long to build; None to build them at every start."""


def candidates(
    provider: ProviderName | Literal["auto"] = "auto",
    precision: ArithmeticPrecision | Literal["auto"] = "auto",
    threads: int = 1,
) -> list[Placement]:
    """Placements that can run here and satisfy the arguments, best first.

    ``auto`` prefers a GPU, then OpenVINO if the CPU has bfloat16 units, without which it is not
    faster, then the CPU provider. Two options must be requested: TensorRT, because building its
    engines delays every start unless they are cached, and half precision, because its images should
    be evaluated first. Raises ProviderError if nothing can run.
    """
    use_bfloat16 = precision in {"auto", "bf16"} and has_bfloat16()
    if provider == "auto":
        tried: list[ProviderName] = ["cuda", "openvino", "cpu"] if use_bfloat16 else ["cuda", "cpu"]
    else:
        tried = [provider]
    reasons = {name: _unavailable(name, precision) for name in tried}
    found = [name for name in tried if not reasons[name]]
    if not found:
        raise ProviderError("; ".join(filter(None, reasons.values())))
    best: dict[ProviderName, ArithmeticPrecision] = {
        "openvino": "bf16" if use_bfloat16 else "fp32",
        "tensorrt": "fp16" if precision == "fp16" else "fp32",
    }
    return [Placement(name, threads, best.get(name, "fp32")) for name in found]


def _unavailable(
    provider: ProviderName, precision: ArithmeticPrecision | Literal["auto"]
) -> str | None:
    """Why ``provider`` cannot run here, and what to do; None if it can."""
    if precision in _REDUCED and provider != _REDUCED[precision]:
        own = " and ".join(["fp32", *(name for name, by in _REDUCED.items() if by == provider)])
        reason = f"precision={precision}: provider={provider} supports only {own}"
        return f"{reason}; use provider={_REDUCED[precision]}"
    if precision == "bf16" and not has_bfloat16():
        return "precision=bf16: this CPU has no bfloat16 units; use precision=fp32"
    if provider == "cuda" and _CUDA not in ort.get_available_providers():
        return (
            "provider=cuda: this onnxruntime has no CUDA provider; "
            "install the extra gpu in place of cpu, or use provider=cpu"
        )
    if provider == "tensorrt" and _TENSORRT not in ort.get_available_providers():
        return (
            "provider=tensorrt: this onnxruntime has no TensorRT provider; install the extra gpu "
            "in place of cpu, and TensorRT 10, or use provider=cuda or provider=cpu"
        )
    if provider == "openvino" and not (
        _OPENVINO in ort.get_available_providers() or openvino_devices()
    ):
        return (
            "provider=openvino: not available for this CPU; install the extra openvino, "
            "or openvino-build for CPUs not made by Intel, or use provider=cpu"
        )
    return None


@cache
def openvino_devices() -> list[Any]:
    """The CPU as a device of the OpenVINO plugin, which supports only Intel's.

    Empty if the plugin is not installed or does not support this CPU. Cached because a process can
    register a plugin only once.
    """
    if find_spec(_OPENVINO_PLUGIN) is None:
        return []
    plugin = importlib.import_module(_OPENVINO_PLUGIN)
    ort.register_execution_provider_library(_OPENVINO_PLUGIN, plugin.get_library_path())
    cpu = ort.OrtHardwareDeviceType.CPU
    found = ort.get_ep_devices()
    # The plugin's other devices, such as OpenVINOExecutionProvider.AUTO, choose the hardware.
    return [one for one in found if one.ep_name == _OPENVINO and one.device.type == cpu]


def identity(placement: Placement) -> str:
    """What computes the pixels of any graph: provider, precision, libraries, kind of CPU.

    The kind of CPU is left out for the providers that compute on a GPU.
    """
    parts = [placement.provider, placement.precision, "onnxruntime", ort.__version__]
    if placement.provider == "openvino" and _OPENVINO not in ort.get_available_providers():
        parts += [_OPENVINO_PLUGIN, version(_OPENVINO_PLUGIN)]
    if placement.provider in _ON_CPU:
        parts.append(kind_of_cpu())
    return " ".join(parts)


def session(
    graph: bytes,
    placement: Placement,
    *,
    capture: bool = False,
    tensorrt_options: Mapping[str, str] | None = None,
) -> ort.InferenceSession:
    """A session of ``graph`` on the provider of ``placement``, without fallback to another one.

    ``capture`` lets CUDA capture the runs as CUDA graphs. Raises ProviderError if the provider does
    not start, GraphError if ``graph`` is invalid or the provider cannot run it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = placement.threads
    for name, value in (_SPINNING if placement.provider == "cpu" else _NOT_SPINNING).items():
        options.add_session_config_entry(f"session.intra_op.{name}", value)
    options.log_severity_level = 3  # the caller reports each failure once
    try:
        arguments = _arguments(placement, options, capture, tensorrt_options or {})
        # From bytes, not from a path: these are the bytes whose hash was verified, and a graph
        # without a path has no folder from which to read more files.
        created = ort.InferenceSession(graph, options, **arguments)
    except Exception as error:  # onnxruntime's errors have no common class
        first_line = str(error).partition("\n")[0]
        raise GraphError(f"onnxruntime cannot load the graph: {first_line}") from error
    created.disable_fallback()
    if placement.provider != created.get_providers()[0].removesuffix("ExecutionProvider").lower():
        raise ProviderError(
            f"provider={placement.provider}: onnxruntime has it, but it does not start; check that "
            f"its requirements are installed{_REQUIREMENTS.get(placement.provider, '')}, "
            "or use provider=cpu"
        )
    return created


_REQUIREMENTS = {
    "cuda": " (the NVIDIA driver, CUDA and cuDNN)",
    "tensorrt": " (TensorRT 10, the NVIDIA driver, CUDA and cuDNN)",
}


def _arguments(
    placement: Placement,
    options: ort.SessionOptions,
    capture: bool,
    tensorrt_options: Mapping[str, str],
) -> dict[str, Any]:
    """InferenceSession's arguments that select the provider; the plugin is added to ``options``."""
    if placement.provider in {"cuda", "tensorrt"}:
        _load_cuda()
    if placement.provider == "cuda":
        return {"providers": [_cuda(capture=capture), _CPU]}
    if placement.provider == "tensorrt":
        return {"providers": [_tensorrt(placement, tensorrt_options), _cuda(capture=False), _CPU]}
    if placement.provider == "cpu":
        return {"providers": [_CPU]}
    properties = {
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[placement.precision],
        "INFERENCE_NUM_THREADS": str(placement.threads),
    }
    config = {"load_config": json.dumps({"CPU": properties})}
    if _OPENVINO in ort.get_available_providers():
        return {"providers": [(_OPENVINO, {"device_type": "CPU", **config})]}
    options.add_provider_for_devices(openvino_devices()[:1], config)
    return {}


@cache
def _load_cuda() -> None:
    """Load CUDA and cuDNN from pip's packages, which the system does not find, if there are any.

    onnxruntime prints the name of a library that is neither there nor in the system.
    """
    ort.preload_dlls()


def _cuda(*, capture: bool) -> tuple[str, dict[str, str]]:
    return _CUDA, {
        "enable_cuda_graph": str(int(capture)),
        # The default times every algorithm for every shape of a convolution.
        "cudnn_conv_algo_search": "HEURISTIC",
        # TF32, the default, rounds factors to 11 bits, which changes one pixel in fifty.
        "use_tf32": "0",
    }


def _tensorrt(placement: Placement, options: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    # TensorRT also uses TF32 and has no option against it (onnxruntime, issue 26029).
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    if find_spec(_TENSORRT_LIBRARIES):
        importlib.import_module(_TENSORRT_LIBRARIES)
    return _TENSORRT, {"trt_fp16_enable": str(int(placement.precision == "fp16")), **options}
