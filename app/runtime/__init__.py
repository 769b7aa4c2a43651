"""ONNX Runtime sessions on CPU, CUDA, TensorRT and OpenVINO."""
