"""Data sets. Each ends as one ``ImageSet``."""
