"""A model server for DCGAN image generators; ``app.load`` loads a generator without the server."""

import os
from importlib import import_module

__version__ = "0.1.0"

# Since 1.29 onnxruntime sends usage data to Microsoft (https://github.com/microsoft/onnxruntime/pull/27379)
# unless this variable is set at its first import. The server contacts nobody on its own.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    """What ``app.model`` has, imported at first use; ``__init__.pyi`` has the types."""
    if name in {"load", "Model", "Encoded"}:
        return getattr(import_module("app.model"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
