"""The metadata of an ONNX file, ``metadata_props``: read and replaced without the library onnx."""

from collections.abc import Mapping
from typing import Final

from app.artifact import wire_format
from app.artifact.card import CardError

_METADATA: Final = 14
"""The field of ModelProto in onnx.proto."""
_KEY, _VALUE = 1, 2
"""The fields of its entries."""


def read(graph: bytes) -> dict[str, str]:
    """Return the metadata of ``graph``. Raises CardError if it is no ONNX file."""
    try:
        return dict(
            _entry(field.value)
            for field in wire_format.fields(memoryview(graph))
            if field.number == _METADATA and not isinstance(field.value, int)
        )
    except IndexError as error:
        raise CardError("not an ONNX file: it is truncated") from error


def replaced(graph: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return ``graph`` with ``metadata`` in place of its own; all other fields are the same.

    ``read`` or ``graph_safety`` has checked ``graph``.
    """
    kept = (
        bytes(field.raw)
        for field in wire_format.fields(memoryview(graph))
        if field.number != _METADATA
    )
    entries = (
        wire_format.encoded(_KEY, key.encode()) + wire_format.encoded(_VALUE, value.encode())
        for key, value in metadata.items()
    )
    return b"".join([*kept, *(wire_format.encoded(_METADATA, entry) for entry in entries)])


def _entry(message: memoryview) -> tuple[str, str]:
    texts = {
        field.number: bytes(field.value).decode(errors="replace")
        for field in wire_format.fields(message)
        if not isinstance(field.value, int)
    }
    return texts.get(_KEY, ""), texts.get(_VALUE, "")
