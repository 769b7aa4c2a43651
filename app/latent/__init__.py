"""Latents: sampling from seeds, interpolation, arithmetic, edits and refinement."""
