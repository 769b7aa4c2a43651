"""Whether the libraries of trackers are installed; does not import torch."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

from training.errors import RunError

EXTRAS: Final = {"tensorboard": "train", "mlflow": "mlflow", "wandb": "wandb"}
"""The extra that installs each tracker's library, which has the name of the tracker."""


def check_installed(names: Sequence[str]) -> None:
    """Raise RunError with the command that installs it if the library of a tracker is missing."""
    for name in names:
        found = find_spec(name)
        if found is None or found.origin is None:  # a folder of that name, as wandb makes one
            raise RunError(
                f"--track {name}: {name} is not installed: pip install '.[{EXTRAS[name]}]'"
            )
