"""Rejects ONNX files that depend on other files: external weights and custom operators.

The file is parsed field by field before onnxruntime sees it. onnxruntime would look for external
weights in the working directory of the server.
"""

from typing import Final

from app.artifact import wire_format
from app.artifact.card import CardError

# From onnx.proto: for each message, the fields with messages that may contain tensors or nodes.
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
}
_NODE_TYPE, _NODE_DOMAIN = 4, 7
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14

_INSPECTED: Final = {
    "node": {_NODE_TYPE, _NODE_DOMAIN},
    "tensor": {_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION},
}
"""The fields whose values are checked."""

_BUILT_IN_DOMAINS: Final = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Domains of the operators that onnxruntime implements."""

_MAX_DEPTH = 32
"""Levels of messages within messages. A subgraph adds three; generators need one subgraph."""


def check(graph: bytes) -> None:
    """Raise CardError unless ``graph`` is a self-contained ONNX file."""
    try:
        _check(memoryview(graph), "model", 0)
    except IndexError as error:
        raise CardError("not an ONNX file: it is truncated") from error


def _check(message: memoryview, kind: str, depth: int) -> None:
    """Check ``message`` and all messages in it. Raises CardError, IndexError if truncated."""
    if depth > _MAX_DEPTH:
        raise CardError("subgraphs are nested too deeply")
    values: dict[int, str] = {}
    for number, value, _ in wire_format.fields(message):
        if number in _MESSAGES.get(kind, {}) and not isinstance(value, int):
            _check(value, _MESSAGES[kind][number], depth + 1)
        elif number in _INSPECTED.get(kind, ()):
            values[number] = str(value or "") if isinstance(value, int) else _text(value)
    if kind == "tensor" and (values.get(_TENSOR_LOCATION) or _TENSOR_EXTERNAL in values):
        name = values.get(_TENSOR_NAME, "")
        raise CardError(f"tensor {name!r} is in another file (external data)")
    if kind == "node" and (domain := values.get(_NODE_DOMAIN, "")) not in _BUILT_IN_DOMAINS:
        name = values.get(_NODE_TYPE, "")
        raise CardError(f"operator {name!r} is a custom operator, from domain {domain!r}")


def _text(value: memoryview) -> str:
    return bytes(value[:200]).decode(errors="replace")
