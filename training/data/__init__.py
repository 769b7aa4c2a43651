"""Data sets. Each ends as one uint8 array, ``(n, channels, height, width)``."""
