"""The micro-batcher and its queue, fair shares, single flight, LRU cache. No models, no HTTP."""
