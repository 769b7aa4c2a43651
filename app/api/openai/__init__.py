"""OpenAI's API of images and models, below ``/v1``."""
