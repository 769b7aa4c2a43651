"""Prometheus metrics, tracing, logging and the statistics of one request."""
