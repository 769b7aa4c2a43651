"""Figures of a generator: latent walks, arithmetic, edits and nearest training images."""
