"""What an ONNX file refers to beyond itself: files with weights, operators of other libraries.

It is read as what it is, a Protocol Buffers message (protobuf.dev, "Encoding"), field by field:
onnxruntime would look for such files in the folder that the server was started in.
"""

from collections.abc import Iterator
from typing import Final

from app.artifact.card import CardError

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LONGEST = 10
"""Bytes of a varint."""

# Of onnx.proto: in which fields of a message which messages are that may lead to tensors or nodes.
_INSIDE: Final[dict[str, dict[int, str]]] = {
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

_TOLD: Final = {
    "node": {_NODE_TYPE, _NODE_DOMAIN},
    "tensor": {_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION},
}

_KNOWN: Final = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Operators that onnxruntime brings."""

_DEEPEST = 32
"""Graphs inside attributes of graphs; what generators need is one."""


def check(graph: bytes) -> None:
    """Raise CardError where ``graph`` is no ONNX file, or one that does not stand alone."""
    try:
        _walk(memoryview(graph), "model", 0)
    except IndexError as error:
        raise CardError("it is no ONNX file: it is cut off") from error


def _walk(message: memoryview, kind: str, depth: int) -> None:
    """Look at ``message`` and at all that it holds."""
    if depth > _DEEPEST:
        raise CardError("its graphs are nested too deeply")
    told: dict[int, str] = {}
    for number, value in _fields(message):
        if number in _INSIDE.get(kind, {}) and not isinstance(value, int):
            _walk(value, _INSIDE[kind][number], depth + 1)
        elif number in _TOLD.get(kind, ()):
            told[number] = str(value or "") if isinstance(value, int) else _text(value)
    if kind == "tensor" and (told.get(_TENSOR_LOCATION) or _TENSOR_EXTERNAL in told):
        name = told.get(_TENSOR_NAME, "")
        raise CardError(f"its tensor {name!r} is in another file (external data)")
    if kind == "node" and (domain := told.get(_NODE_DOMAIN, "")) not in _KNOWN:
        raise CardError(f"its operator {told.get(_NODE_TYPE, '')!r} is a custom one, of {domain!r}")


def _text(value: memoryview) -> str:
    return bytes(value[:200]).decode(errors="replace")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Every field of a message: its number and its value. Raises CardError or IndexError."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in {_EIGHT, _FOUR}:
            length = 8 if wire == _EIGHT else 4
        else:
            raise CardError(f"it is no ONNX file: a field has wire type {wire}")
        if at + length > len(message):
            raise IndexError
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for k in range(_LONGEST):
        byte = message[at + k]
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise CardError("it is no ONNX file: a number has no end")
