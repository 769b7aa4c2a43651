"""Drawn faces: chosen by number, drawn, and stored as a data set."""
