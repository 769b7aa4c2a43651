"""Shared by the compared servers: latents, an onnxruntime session, and sheets by Pillow.

The environment variable GRAPH names the model file. The code follows the documentation of NumPy,
onnxruntime and Pillow.
"""

import io
import math
import os

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

Latents, Pixels = NDArray[np.float32], NDArray[np.uint8]


class Generator:
    """The model: latents ``(n, width)`` to pixels ``(n, height, width, channels)``."""

    def __init__(self) -> None:
        self.session = ort.InferenceSession(os.environ["GRAPH"])
        self.input, *self.conditions = self.session.get_inputs()

    def latents(self, n: int) -> Latents:
        shape = (n, self.input.shape[1])
        return np.random.default_rng().standard_normal(shape, dtype=np.float32)

    def draw(self, latents: Latents) -> Pixels:
        inputs = {self.input.name: latents}
        for condition in self.conditions:  # a conditional generator gets random classes
            classes = np.random.default_rng().integers(condition.shape[1], size=len(latents))
            inputs[condition.name] = np.eye(condition.shape[1], dtype=np.float32)[classes]
        (pixels,) = self.session.run(None, inputs)
        return pixels


def sheet(pixels: Pixels) -> Image.Image:
    """One image with all images in rows, as square as possible."""
    n, height, width, _ = pixels.shape
    columns = math.ceil(math.sqrt(n))
    mode = "L" if pixels.shape[3] == 1 else "RGB"
    whole = Image.new(mode, (columns * width, math.ceil(n / columns) * height))
    for number, image in enumerate(pixels):
        row, column = divmod(number, columns)
        one = Image.fromarray(image.squeeze(2) if mode == "L" else image)
        whole.paste(one, (column * width, row * height))
    return whole


def png(pixels: Pixels) -> bytes:
    """The sheet as a PNG file."""
    buffer = io.BytesIO()
    sheet(pixels).save(buffer, "PNG")
    return buffer.getvalue()
