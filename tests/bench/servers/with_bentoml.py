"""BentoML, https://docs.bentoml.com: a service that answers images.

It does not batch. A service that does takes and gives arrays, so that sheets need a second service
in front; between the two of BentoML 1.4.39 some requests were lost under load.
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
