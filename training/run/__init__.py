"""The run folder: journal, curves, sample grids, animation, trackers."""
