"""The training loop: devices, execution, distribution, checkpoints."""
