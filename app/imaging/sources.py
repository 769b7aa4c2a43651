"""The images of a Python program: paths of files, contents of files, and arrays."""

import io
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from app.imaging import containers
from app.imaging.containers import ImageFile, RefusedImageError
from app.imaging.sheets import Pixels

Source: TypeAlias = str | Path | bytes | Pixels
"""The path or the content of a PNG, JPEG, WebP or GIF file, or pixels: ``(height, width)``, or
``(height, width, channels)`` with 1 channel (grey), 3 (RGB) or 4 (with opacity)."""

_CHANNELS = {1, 3, 4}
_ALLOWED = "uint8 of shape (height, width), or (height, width, channels) with 1, 3 or 4 channels"


def inspect(source: Source) -> ImageFile:
    """The image of ``source`` as a file, whose pixels may still be damaged.

    Raises RefusedImageError for what is no image, TypeError for another type, and OSError for a
    file that cannot be read.
    """
    if isinstance(source, str | Path):
        return containers.inspect(Path(source).read_bytes())
    if isinstance(source, bytes):
        return containers.inspect(source)
    if not isinstance(source, np.ndarray):
        raise TypeError(f"{source!r} but must be a path, the content of a file, or an array")
    is_image = source.ndim == 2 or (source.ndim == 3 and source.shape[2] in _CHANNELS)
    if source.dtype != np.uint8 or not is_image or not source.size:
        raise RefusedImageError(f"an array of {source.dtype} of shape {source.shape}", _ALLOWED)
    pixels = source[..., 0] if source.shape[2:] == (1,) else source
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return containers.inspect(buffer.getvalue())
