"""A model server for DCGAN image generators."""

import os

__version__ = "0.1.0"

# Since 1.29 onnxruntime sends usage data to Microsoft (https://github.com/microsoft/onnxruntime/pull/27379)
# unless this variable is set at its first import. The server contacts nobody on its own.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
