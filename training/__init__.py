"""Trains DCGANs on images, evaluates them and exports them to ONNX."""
