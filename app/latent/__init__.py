"""Seeds to latents, and what can be done with latents."""
