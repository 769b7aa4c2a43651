"""The Open Inference Protocol, version 2 (KServe's, Triton's)."""
