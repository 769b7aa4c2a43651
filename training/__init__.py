"""The trainer: DCGANs from images, to ONNX."""
