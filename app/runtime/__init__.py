"""ONNX Runtime sessions: generators on CPU, CUDA, TensorRT and OpenVINO; encoders on the CPU."""
