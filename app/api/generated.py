"""The JSON of images of seeds and latents: their files, or the URLs of images of seeds."""

from collections.abc import Sequence

import numpy as np
from fastapi import Response

from app.api import responses
from app.api.content_negotiation import JSON
from app.api.drawing import Drawing
from app.api.drawn import Drawn
from app.api.raw_response import RawResponse, entity_headers
from app.api.routes.images import url
from app.api.schemas import Generated, GeneratedImage
from app.errors import invalid, parameter_error
from app.latent.sampling import Point
from app.middleware.request_context import RequestContext
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

Source = Point | None
"""The seed or the latent of an image; None if it is another's."""


def body(
    drawn: Drawn, sources: Sequence[Source], context: RequestContext, files: Sequence[bytes]
) -> Generated:
    """The images with their PNG ``files``."""
    found = _images(drawn.version, drawn.options, sources, context.public_url)
    for k, (image, file) in enumerate(zip(found, files, strict=True)):
        image |= {"png": responses.base64_text(file), **drawn.condition(k)}
    return _generated(drawn.version, found)


def urls(drawing: Drawing, sources: Sequence[Source]) -> Response:
    """The URLs of images of seeds, which are generated when they are requested.

    Raises ParameterError if an image is not that of a seed, or if the request's timeout is not
    allowed.
    """
    version, context = drawing.version, drawing.context
    context.timeout()  # so that a wrong one is refused, although nothing takes time
    if not all(isinstance(source, int) for source in sources):
        allowed = "another, as some of these images are not those of a seed alone and have no URL"
        raise parameter_error(invalid("format", "query", "urls", allowed))
    found = _images(version, drawing.options, sources, context.public_url)
    content = _generated(version, found).model_dump_json(exclude_none=True).encode()
    named = (b"x-model", str(version.key).encode()), (b"x-seed", str(sources[0]).encode())
    about = entity_headers(JSON, len(content))
    return RawResponse(content, (*named, (b"vary", b"Accept"), *about))


def _images(
    version: ModelVersion, options: DrawOptions, sources: Sequence[Source], base: str
) -> list[dict[str, object]]:
    """The fields of each image that do not depend on its pixels."""
    height, width = version.image_size(options)
    found: list[dict[str, object]] = []
    for k, source in enumerate(sources):
        image: dict[str, object] = {}
        if isinstance(source, int):
            image = {"seed": source, "url": url(version, options.of_image(k), source, base=base)}
        elif source is not None:
            image = {"latent": np.asarray(source, np.float32).tolist()}
        found.append({**image, "width": width, "height": height})
    return found


def _generated(version: ModelVersion, images: Sequence[dict[str, object]]) -> Generated:
    card = version.card
    return Generated(
        model=card.name,
        version=card.version,
        images=[GeneratedImage.model_validate(image) for image in images],
    )
