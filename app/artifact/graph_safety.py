"""Rejects ONNX files that depend on other files: external weights and custom operators.

The file is parsed as a Protocol Buffers message (protobuf.dev, "Encoding"), field by field, before
onnxruntime sees it. onnxruntime would look for external weights in the working directory of the
server.
"""

from collections.abc import Iterator
from typing import Final

from app.artifact.card import CardError

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types."""

_MAX_VARINT = 10
"""Bytes."""

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
    for number, value in _fields(message):
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


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of every field. Raises CardError, IndexError if truncated."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire_type = key & 7
        if wire_type == _VARINT:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        if wire_type == _BYTES:
            length, at = _varint(message, at)
        elif wire_type in {_EIGHT_BYTES, _FOUR_BYTES}:
            length = 8 if wire_type == _EIGHT_BYTES else 4
        else:
            raise CardError(f"not an ONNX file: a field has wire type {wire_type}")
        if at + length > len(message):
            raise IndexError
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the varint at position ``at`` and the position after it."""
    value = 0
    for k in range(_MAX_VARINT):
        byte = message[at + k]
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise CardError(f"not an ONNX file: a varint is longer than {_MAX_VARINT} bytes")
