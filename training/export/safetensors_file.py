"""Reads safetensors files: a JSON header, then the bytes of all tensors.

The format is that of https://github.com/huggingface/safetensors, section "Format": the length of
the header in eight bytes (little-endian), the header, the data.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from training.errors import ExportError

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

_MAX_HEADER = 100_000_000
"""Bytes, as in the format's own implementation."""


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a safetensors file, whatever its name."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < _MAX_HEADER


def read(path: Path) -> dict[str, Tensor]:
    """The tensors in ``path``, by name. Raises ExportError if the file is damaged."""
    content = path.read_bytes()
    data = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:data])
        header.pop("__metadata__", None)
        return {name: _tensor(content[data:], **entry) for name, entry in header.items()}
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ExportError(f"{path}: is a damaged safetensors file: {error}") from error


def _tensor(data: bytes, dtype: str, shape: list[int], data_offsets: tuple[int, int]) -> Tensor:
    if dtype not in _TYPES:
        raise ValueError(f"unknown type {dtype}")
    start, end = data_offsets
    if start == end:  # frombuffer does not accept it
        return torch.empty(0, dtype=_TYPES[dtype]).reshape(shape)
    return torch.frombuffer(bytearray(data[start:end]), dtype=_TYPES[dtype]).reshape(shape)
