"""A model server for DCGAN image generators."""

__version__ = "0.1.0"
