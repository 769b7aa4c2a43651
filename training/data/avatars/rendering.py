"""Renders a face: python-avatars composes the SVG, resvg rasterises it."""

import io
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data.avatars.dataset import SIZE
from training.data.avatars.faces import Face
from training.errors import DataError

VIEW_BOX = "28 12 208 208"
"""Visible part of Avataaars' 264×280 units as x, y, width and height: a square that the head fills,
from hair to collar."""


def libraries() -> dict[str, str]:
    """The versions of the drawing libraries, by name.

    Raises DataError with the installation command if one is missing.
    """
    try:
        import python_avatars  # noqa: F401
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise DataError(
            f"drawing faces needs python-avatars and resvg-py: pip install '.[avatars]' ({error})"
        ) from error
    return {name: version(name) for name in ("python-avatars", "resvg-py")}


def render(face: Face) -> NDArray[np.uint8]:
    """``face`` as RGB pixels: ``(3, SIZE, SIZE)``."""
    import resvg_py

    inner = compose(face)
    # The outer SVG's view box crops the inner one.
    cropped = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" '
        f'viewBox="{VIEW_BOX}">{inner[inner.index("<svg") :]}</svg>'
    )
    # The SVG contains no text, so system fonts need not be searched.
    png = resvg_py.svg_to_bytes(
        svg_string=cropped, background=face.background, skip_system_fonts=True
    )
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def compose(face: Face) -> str:
    """``face`` as an SVG document of 264×280 units, without a background."""
    import python_avatars as library

    top = library.HatType[face.hat] if face.hat else library.HairType[face.hair]
    avatar = library.Avatar(
        style=library.AvatarStyle.TRANSPARENT,
        top=top,
        hat_color=library.ClothingColor[face.hat_cloth],
        eyebrows=library.EyebrowType[face.eyebrows],
        eyes=library.EyeType[face.eyes],
        nose=library.NoseType.DEFAULT,
        mouth=library.MouthType[face.mouth],
        facial_hair=library.FacialHairType[face.beard or face.moustache or "NONE"],
        skin_color=face.skin,
        hair_color=library.HairColor[face.hair_colour],
        facial_hair_color=library.HairColor[face.hair_colour],
        accessory=library.AccessoryType[face.glasses or "NONE"],
        clothing=library.ClothingType[face.clothes],
        clothing_color=library.ClothingColor[face.cloth],
    )
    return str(avatar.render())
