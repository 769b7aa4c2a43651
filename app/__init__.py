"""A model server for DCGAN image generators."""

import os

__version__ = "0.1.0"

# From 1.29 on onnxruntime tells Microsoft of its use (https://github.com/microsoft/onnxruntime/pull/27379),
# unless this says otherwise when it is first imported. A server asks nobody by itself.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
