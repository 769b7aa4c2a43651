"""Reads the images in a request: files of a form, or one file as the whole body.

They stay in memory, and in nothing but memory: they are neither stored nor logged.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.api import multipart
from app.api.content_negotiation import GIF, PNG, WEBP
from app.api.multipart import FormError
from app.batching.jobs import DisconnectedError
from app.errors import MediaTypeError, ParameterError, error_naming, invalid, parameter_error
from app.imaging import containers
from app.imaging.containers import ImageFile, RefusedImageError
from app.middleware.upload_memory import Upload

MAX_BYTES: Final = 2**24
"""Of the whole body."""
MAX_IMAGES: Final = 16
FIELD: Final = "images"
"""The name of the files in a form."""
MULTIPART: Final = "multipart/form-data"
_JPEG: Final = "image/jpeg"
_MEDIA_TYPES: Final = (PNG, _JPEG, WEBP, GIF)


@dataclass(frozen=True)
class UploadedImage:
    """One image of a request."""

    name: str
    """Where it is in the request: ``images.0`` or ``body``."""
    content: bytes


def description() -> dict[str, Any]:
    """The ``openapi_extra`` of a route with such a body."""
    binary = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "properties": {
            FIELD: {
                "type": "array",
                "items": binary,
                "minItems": 1,
                "maxItems": MAX_IMAGES,
                "description": "PNG, JPEG, WebP or GIF files, of 16 MiB together",
            }
        },
        "required": [FIELD],
        "additionalProperties": False,
    }
    files = {media_type: {"schema": binary} for media_type in _MEDIA_TYPES}
    content = {MULTIPART: {"schema": form}, **files}
    return {"requestBody": {"required": True, "content": content}}


async def read(request: Request, upload: Upload) -> list[UploadedImage]:
    """The images in the body, whose bytes ``upload`` counts as they arrive.

    Raises MediaTypeError, ParameterError for a form without images, OverloadedError,
    BodyTooLargeError, and DisconnectedError if the body is incomplete.
    """
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    stream = _counted(request, upload)
    if media_type in _MEDIA_TYPES:
        return [UploadedImage("body", b"".join([piece async for piece in stream]))]
    if media_type == MULTIPART:
        return await _images(stream, given)
    allowed = f"one of {', '.join((MULTIPART, *_MEDIA_TYPES))}"
    refused = invalid("Content-Type", "header", given or None, allowed)
    raise error_naming(MediaTypeError, refused)


async def _counted(request: Request, upload: Upload) -> AsyncGenerator[bytes, None]:
    try:
        async for piece in request.stream():
            upload.add(len(piece))
            yield piece
    except ClientDisconnect as error:
        raise DisconnectedError from error


async def _images(stream: AsyncGenerator[bytes, None], content_type: str) -> list[UploadedImage]:
    """The files of a form. Raises ParameterError if it has others, or none."""
    try:
        parts = await multipart.parts(stream, content_type, MAX_IMAGES)
    except FormError as error:
        allowed = f"a form with 1 to {MAX_IMAGES} files, all called {FIELD}; {error}"
        raise _refused("body", MULTIPART, allowed) from error
    for part in parts:
        if part.name != FIELD:
            allowed = f"left out: only parts called {FIELD} are allowed"
            raise _refused(part.name, part.content, allowed)
        if not part.is_file:
            raise _refused(part.name, part.content, "a file: a part with a filename")
    if not parts:
        raise _refused(FIELD, None, f"1 to {MAX_IMAGES} files")
    return [UploadedImage(f"{FIELD}.{k}", part.content) for k, part in enumerate(parts)]


def inspected(images: Sequence[UploadedImage]) -> list[ImageFile]:
    """The files, none of which has been decoded. Raises ParameterError for what is no image."""
    files = []
    for image in images:
        try:
            files.append(containers.inspect(image.content))
        except RefusedImageError as error:
            raise refusal(image, error) from error
    return files


def refusal(image: UploadedImage, error: RefusedImageError) -> ParameterError:
    """The error that refuses an uploaded image."""
    return _refused(image.name, error.found, error.allowed)


def _refused(name: str, value: object, allowed: str) -> ParameterError:
    return parameter_error(invalid(name, "body", value, allowed))
