"""The run folder: journal, curves, sample sheets, animation, trackers."""
