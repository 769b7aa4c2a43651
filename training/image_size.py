"""The size of images, as ``--image-size`` gives it: 64, or 64x96 for 64 pixels wide and 96 high."""

import re
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer, PlainValidator
from pydantic_core import PydanticCustomError

SIDES = range(16, 257, 4)
"""Every width and every height that networks are built for."""
ALLOWED_SIZES = (
    "a multiple of 4 from 16 to 256, or two as WIDTHxHEIGHT, such as 64x96 for 64 wide and 96 high"
)

_TEXT = re.compile(r"(\d+)(?:[x×](\d+))?")


class ImageSize(NamedTuple):
    """The width and the height of images, in pixels. As text it is 64, or 64x96."""

    width: int
    height: int

    def __str__(self) -> str:
        return str(self.width) if self.width == self.height else f"{self.width}x{self.height}"

    @classmethod
    def square(cls, side: int) -> "ImageSize":
        """The size of square images."""
        return cls(side, side)

    @classmethod
    def of_shape(cls, image_shape: tuple[int, ...]) -> "ImageSize":
        """The size of images of ``image_shape`` (channels, height, width)."""
        _, height, width = image_shape
        return cls(width, height)

    @property
    def is_supported(self) -> bool:
        """Whether there are networks for images of this size."""
        return self.width in SIDES and self.height in SIDES


def parsed(value: object) -> ImageSize:
    """The size that ``value`` gives: a size, a side, or text.

    Raises PydanticCustomError unless it is supported.
    """
    found = value if isinstance(value, ImageSize) else _of_text(str(value))
    if found is None or not found.is_supported:
        raise PydanticCustomError("size", "must be {allowed}", {"allowed": ALLOWED_SIZES})
    return found


def _of_text(text: str) -> ImageSize | None:
    match = _TEXT.fullmatch(text)
    return ImageSize(int(match[1]), int(match[2] or match[1])) if match else None


def plain(size: ImageSize) -> int | str:
    """``size`` as JSON has it: the number of a square, or text."""
    return size.width if size.width == size.height else str(size)


ImageSizeOption = Annotated[ImageSize, PlainValidator(parsed), PlainSerializer(plain)]
"""The type of the option ``image_size``."""
