"""Uploaded images as the pixels of a model: cropped, scaled, grey or coloured, on its background.

``containers.inspect`` comes first: it refuses files that are too large, or no images, undecoded.
"""

import io
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.imaging.containers import ImageFile, RefusedImageError
from app.imaging.crop import centre_box
from app.imaging.sheets import Pixels

Invert = Literal["auto", "true", "false"]

BYTES_PER_PIXEL: Final = 12
"""The most memory that decoding takes: colours and transparency, converted and premultiplied."""
_MIRRORED: Final = {2, 4, 5, 7}
_QUARTER_TURNS: Final = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}
"""For each orientation, the turns to the left after mirroring from left to right."""
_SWAPPED: Final = 5
"""From this orientation on, width and height are swapped."""


@dataclass(frozen=True)
class ModelImages:
    """What the images of a model look like."""

    height: int
    width: int
    channels: int
    background: tuple[int, ...]
    """One value from 0 to 255 for each channel."""


@dataclass(frozen=True)
class Prepared:
    """An uploaded image as the model would have drawn it."""

    pixels: Pixels
    """uint8 ``(height, width, channels)``."""
    inverted: bool
    """Whether its colours are inverted."""


def prepare(file: ImageFile, model: ModelImages, invert: Invert = "auto") -> Prepared:
    """The centre of an image, of the shape and size of the images of ``model``.

    It is rotated as the file says. Transparent parts show the background of the model. ``auto``
    inverts images for grey models if that brings their own background nearer to the model's: a dark
    drawing on light paper becomes a light drawing on black. Raises RefusedImageError if the file is
    damaged.
    """
    try:
        with Image.open(io.BytesIO(file.content), formats=[file.format.upper()]) as opened:
            _check_size(opened, file)
            image = _scaled(opened, model, turned=file.orientation >= _SWAPPED)
    except Exception as error:  # Pillow's errors for damaged files have no common class
        found = f"a damaged {file.format} file"
        raise RefusedImageError(found, "a complete PNG, JPEG, WebP or GIF file") from error
    pixels = _upright(np.asarray(image), file.orientation)
    colours, opacity = pixels[..., : model.channels], pixels[..., model.channels :]
    background = np.array(model.background, np.uint8)
    inverted = invert == "true" or (
        invert == "auto"
        and model.channels == 1
        and _is_inverse(colours[..., 0], opacity, model.background[0])
    )
    shown = 255 - colours if inverted else colours
    return Prepared(_composed(shown, opacity, background), inverted)


def border(height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels of an image are at its border: ``(height, width)``."""
    found = np.ones((height, width), bool)
    found[1:-1, 1:-1] = False
    return found


def _check_size(opened: Image.Image, file: ImageFile) -> None:
    """Raise ValueError if the decoder finds another size than ``containers.inspect``."""
    if opened.size != (file.width, file.height):
        raise ValueError(f"{opened.size} pixels")


def _scaled(opened: Image.Image, model: ModelImages, *, turned: bool) -> Image.Image:
    """The centre, in the size of the model before it is ``turned``: L, LA, RGB or RGBA."""
    size = (model.height, model.width) if turned else (model.width, model.height)
    opened.draft("L" if model.channels == 1 else "RGB", _covering(size, opened.size))
    image = _converted(opened, model.channels)
    box = centre_box(image.size, size)
    # Averages of areas: an image that was enlarged by repeating pixels gets its own pixels back.
    enlarged = size[0] > box[2] - box[0]
    method = Image.Resampling.BICUBIC if enlarged else Image.Resampling.BOX
    return image.resize(size, method, box)


def _covering(size: tuple[int, int], original: tuple[int, int]) -> tuple[int, int]:
    """The smallest size with the proportions of ``original`` whose centre contains ``size``."""
    scale = max(size[0] / original[0], size[1] / original[1])
    return max(1, int(original[0] * scale)), max(1, int(original[1] * scale))


def _converted(opened: Image.Image, channels: int) -> Image.Image:
    """The image in grey or in colours, with its opacity if parts of it may be transparent."""
    if opened.mode.startswith("I"):  # 16 bits of grey
        grey = Image.fromarray((np.asarray(opened).astype(np.uint32) >> 8).astype(np.uint8))
        return grey if channels == 1 else grey.convert("RGB")
    transparent = opened.has_transparency_data
    if opened.mode in {"P", "PA"}:
        opened = opened.convert("RGBA" if transparent else "RGB")
    wanted = {1: "L", 3: "RGB"}[channels] + ("A" if transparent else "")
    if opened.mode == wanted:
        opened.load()
        return opened
    return opened.convert(wanted)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels ``(h, w)`` or ``(h, w, channels)`` as an orientation of Exif says: three axes."""
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    mirrored = pixels[:, ::-1] if orientation in _MIRRORED else pixels
    return np.rot90(mirrored, _QUARTER_TURNS[orientation])


def _is_inverse(grey: Pixels, opacity: Pixels, background: int) -> bool:
    """Whether an image fits the background of the model better if it is inverted."""
    edge = border(*grey.shape)
    if opacity.size and np.median(opacity[edge]) < 128:
        # It has no background of its own. What it shows should differ from the model's.
        if not opacity.any():
            return False
        shown = np.average(grey, weights=opacity[..., 0])
        return bool(abs(shown - background) < abs(255 - shown - background))
    own = np.median(grey[edge])
    return bool(abs(255 - own - background) < abs(own - background))


def _composed(colours: Pixels, opacity: Pixels, background: Pixels) -> Pixels:
    """The image on the background."""
    if not opacity.size:
        return np.ascontiguousarray(colours)
    share = opacity.astype(np.float64) / 255
    mixed = share * colours + (1 - share) * background
    return mixed.round().astype(np.uint8)
