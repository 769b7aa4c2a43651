"""A model server for DCGAN image generators."""
