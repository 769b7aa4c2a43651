"""Drawn faces: what they look like, how they are drawn, and how they become a data set."""
