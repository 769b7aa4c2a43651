"""Checkpoints: written atomically, read back to the bit."""

import os
from pathlib import Path
from typing import Any

import torch

from training.errors import RunError


def save(state: dict[str, Any], path: Path) -> None:
    """Write ``state`` to ``path``, which at every instant holds a whole checkpoint or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    # The new name must be on the disk too before an older checkpoint is given up.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path) -> dict[str, Any]:
    """The state in ``path``, on the CPU. Raises RunError where it is missing or damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no checkpoint") from error
    except Exception as error:  # torch.load has no error of its own for a damaged file
        raise RunError(f"{path}: is no readable checkpoint: {error}") from error
    return state
