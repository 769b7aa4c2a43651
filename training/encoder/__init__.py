"""The encoder: a network from images to the latents and conditions of a generator."""
