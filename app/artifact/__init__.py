"""The model folder: card, hashes, safety of ONNX files, atomic writes."""
