"""Data sets: IDX files, image folders and drawn faces, each loaded as one uint8 array."""
