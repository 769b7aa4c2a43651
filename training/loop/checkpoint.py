"""Checkpoints: written atomically, read back to the bit."""

import io
from pathlib import Path
from typing import Any

import torch

from app.artifact import atomic_files
from training.errors import RunError


def save(state: dict[str, Any], path: Path) -> None:
    """Write ``state`` to ``path``, which at every instant holds a whole checkpoint or none."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic_files.write(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """The state in ``path``, on the CPU. Raises RunError where it is missing or damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no checkpoint") from error
    except Exception as error:  # torch.load has no error of its own for a damaged file
        raise RunError(f"{path}: is no readable checkpoint: {error}") from error
    return state
