"""The micro-batcher: queue, fair shares, single flight, cache. Knows no model and no HTTP."""
