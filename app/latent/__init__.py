"""Latents: sampling from seeds, interpolation, arithmetic and edits."""
