"""The fields of a Protocol Buffers message, which an ONNX file is (protobuf.dev, "Encoding")."""

from collections.abc import Iterator
from typing import NamedTuple

from app.artifact.card import CardError

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types."""

_MAX_VARINT = 10
"""Bytes."""


class WireField(NamedTuple):
    """One field of a message."""

    number: int
    value: int | memoryview
    raw: memoryview
    """The whole field, with its key."""


def fields(message: memoryview) -> Iterator[WireField]:
    """Yield every field of ``message``. Raises CardError, IndexError if it is truncated."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        wire_type = key & 7
        if wire_type == _VARINT:
            number, at = _varint(message, at)
            yield WireField(key >> 3, number, message[start:at])
            continue
        if wire_type == _BYTES:
            length, at = _varint(message, at)
        elif wire_type in {_EIGHT_BYTES, _FOUR_BYTES}:
            length = 8 if wire_type == _EIGHT_BYTES else 4
        else:
            raise CardError(f"not an ONNX file: a field has wire type {wire_type}")
        if at + length > len(message):
            raise IndexError
        end = at + length
        yield WireField(key >> 3, message[at:end], message[start:end])
        at = end


def encoded(number: int, value: bytes) -> bytes:
    """The field ``number`` of a message with ``value``, a string or a message."""
    return _encoded_varint(number << 3 | _BYTES) + _encoded_varint(len(value)) + value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the varint at position ``at`` and the position after it."""
    value = 0
    for k in range(_MAX_VARINT):
        byte = message[at + k]
        value |= (byte & 127) << 7 * k
        if byte < 128:
            return value, at + k + 1
    raise CardError(f"not an ONNX file: a varint is longer than {_MAX_VARINT} bytes")


def _encoded_varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])
