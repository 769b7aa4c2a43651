"""The micro-batcher and its fair queue, shares, single flight, LRU cache. No models, no HTTP."""
