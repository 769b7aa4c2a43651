"""A run from its first to its last step: fit, device, execution, processes, checkpoints."""
