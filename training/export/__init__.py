"""Export of generators: ONNX graph, parity check, publication, import, graph optimisation."""
