"""What a request costs its client, in images of the requested model.

The rate limit and the fair shares of the queue count this cost, not the number of images: enlarging
and laying out images takes as long as generating them, pixel for pixel.
"""

from app.registry.model_version import ModelVersion

_MEGAPIXEL = 2**20

REFUSED = 1.0
"""The cost of a request that is refused, or that fails. Reading it takes as long as an image."""


def images(version: ModelVersion, count: int, encoded: int) -> float:
    """The cost of ``count`` images of ``version`` in a response of ``encoded`` pixels.

    The mean of the pixels generated and the pixels encoded, divided by the pixels of one image:
    ``count``, if the images are neither enlarged nor laid out with gaps.
    """
    image = version.card.image
    return (count + encoded / (image.height * image.width)) / 2


def encoded(uploads: int, pixels: int) -> float:
    """The cost of finding the latents of this many ``uploads``, with ``pixels`` in all of them.

    One for each upload, with its reconstruction, and one for each whole megapixel, whose decoding
    takes longer than many images of a model.
    """
    return float(uploads + pixels // _MEGAPIXEL)
