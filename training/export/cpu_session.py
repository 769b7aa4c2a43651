"""Runs a graph on onnxruntime's CPU provider, to check it before it is published."""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.artifact import card
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents
from training.errors import ExportError
from training.gan.pixels import BATCH


def run_graph(graph: bytes, rows: Latents, conditions: int = 0) -> Pixels:
    """The pixels of ``rows``, latents ``(n, z)``: uint8 ``(n, height, width, channels)``.

    For a conditional graph the last ``conditions`` columns of ``rows`` are its second input. Raises
    ExportError if onnxruntime is not installed or cannot run ``graph``.
    """
    loaded = session(graph)
    starts = range(0, len(rows), BATCH)
    parts = (graph_inputs(rows[start : start + BATCH], conditions) for start in starts)
    return np.concatenate([run(loaded, inputs) for inputs in parts])


def graph_inputs(rows: Latents, conditions: int) -> dict[str, Latents]:
    """The inputs of a graph, by name, for a PyTorch generator's inputs ``rows`` ``(n, z + k)``."""
    if not conditions:
        return {card.INPUT: rows}
    return {card.INPUT: rows[:, :-conditions], card.CLASSES: rows[:, -conditions:]}


def session(graph: bytes) -> Any:  # noqa: ANN401 onnxruntime carries no types
    """A session of ``graph``. Raises ExportError if onnxruntime cannot load it."""
    onnxruntime = require_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are raised, too
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise ExportError(f"onnxruntime cannot load the graph: {error}") from error


def run(loaded: Any, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:  # noqa: ANN401 a session
    """The only output of a session. Raises ExportError if it cannot be computed."""
    try:
        (output,) = loaded.run(None, inputs)
    except Exception as error:  # onnxruntime's errors have no common class
        shapes = {name: values.shape for name, values in inputs.items()}
        raise ExportError(f"onnxruntime cannot run the graph on {shapes}: {error}") from error
    values: NDArray[Any] = output
    return values


def require_onnxruntime() -> Any:  # noqa: ANN401 a module without types
    """The onnxruntime module of any of its builds. Raises ExportError if none is installed."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ExportError("the parity check needs onnxruntime: pip install '.[cpu]'") from error
