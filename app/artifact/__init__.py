"""The model folder: card, hashes, graph safety, atomic files."""
