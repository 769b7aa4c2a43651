"""Checkpoints: written atomically and restored bit for bit."""

import io
from pathlib import Path
from typing import Any

import torch

from app.artifact import atomic_files
from training.errors import RunError


def save(state: dict[str, Any], path: Path) -> None:
    """Write ``state`` to ``path``. At every moment the file is a whole checkpoint or absent."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    atomic_files.write(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """The state in ``path``, on the CPU. Raises RunError if the file is missing or damaged."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no checkpoint") from error
    except Exception as error:  # torch.load has no exception type of its own for damaged files
        raise _unreadable(path) from error
    if not isinstance(state, dict):
        raise _unreadable(path)
    return state


def _unreadable(path: Path) -> RunError:
    # Not PyTorch's reasons: they have many lines, and advise to load what could execute code.
    return RunError(f"{path}: not a readable checkpoint: it is damaged, or another kind of file")
