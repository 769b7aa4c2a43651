"""Drawn faces: sampled by number, rendered, and stored as a data set."""
