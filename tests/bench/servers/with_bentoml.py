"""BentoML, https://docs.bentoml.com: a service that returns images.

It does not batch. A batching service takes and returns arrays, so sheets would need a second
service in front; between two services, BentoML 1.4.39 lost some requests under load.
"""

import bentoml
from generator import Generator, sheet
from PIL.Image import Image


@bentoml.service
class Sheets:
    def __init__(self) -> None:
        self.generator = Generator()

    @bentoml.api
    def generate(self, n: int = 16) -> Image:
        return sheet(self.generator.draw(self.generator.latents(n)))
