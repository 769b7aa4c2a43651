"""Graphs on onnxruntime's CPU provider: what is published is drawn with before it is."""

import importlib
from typing import Any

from numpy.typing import NDArray

from app.artifact import card
from app.imaging.sheets import Pixels
from app.latent.sampling import Latents
from training.errors import ExportError


def run_graph(content: bytes, seeds: Latents) -> Pixels:
    """What onnxruntime's CPU provider draws. Raises ExportError where it is not installed."""
    drawn: Pixels = run(session(content), {card.INPUT: seeds})
    return drawn


def session(content: bytes) -> Any:  # noqa: ANN401 onnxruntime carries no types
    """A graph on onnxruntime's CPU provider. Raises ExportError where it cannot be loaded."""
    library = onnxruntime()
    try:
        return library.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise ExportError(f"onnxruntime cannot load the graph: {error}") from error


def run(loaded: Any, inputs: dict[str, NDArray[Any]]) -> NDArray[Any]:  # noqa: ANN401 the same
    """The only output of a session. Raises ExportError where it cannot be computed."""
    try:
        (output,) = loaded.run(None, inputs)
    except Exception as error:  # the same
        shapes = {name: values.shape for name, values in inputs.items()}
        raise ExportError(f"onnxruntime cannot run the graph on {shapes}: {error}") from error
    values: NDArray[Any] = output
    return values


def onnxruntime() -> Any:  # noqa: ANN401 it carries no types
    """The module, whichever build of it. Raises ExportError where there is none."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ExportError("the parity check needs onnxruntime: pip install '.[cpu]'") from error
