"""Export of generators: ONNX graph, parity check, publication, foreign models, teachers."""
