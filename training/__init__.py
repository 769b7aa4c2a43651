"""Trains DCGANs on images, evaluates them and exports them to ONNX."""

from importlib import import_module

_NAMES = {
    "fit": "training.library",
    "Config": "training.config",
    "from_flags": "training.config",
    "TrainingError": "training.errors",
}


def __getattr__(name: str) -> object:
    """``fit`` and what it needs, imported at first use; ``__init__.pyi`` has their types."""
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
