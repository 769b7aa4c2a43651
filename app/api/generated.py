"""The JSON of images: their files, or their URLs, which images of seeds have."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from fastapi import Response
from pydantic import BaseModel

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
OptionsOf = Callable[[int], DrawOptions]
"""The options of an image of a response, by its index."""


def body(
    drawn: Drawn, sources: Sequence[Source], context: RequestContext, files: Sequence[bytes]
) -> Generated:
    """The images with their PNG ``files``."""
    found = described(drawn.version, drawn.options.of_image, sources, context.public_url)
    return _generated(drawn.version, with_files(found, drawn, files))


def urls(drawing: Drawing, sources: Sequence[Source]) -> Response:
    """The URLs of images of seeds. Raises ParameterError as ``addresses``."""
    build = partial(_generated, drawing.version)
    return addresses(drawing, sources, drawing.options.of_image, build)


def addresses(
    drawing: Drawing,
    sources: Sequence[Source],
    options_of: OptionsOf,
    build: Callable[[Sequence[dict[str, Any]]], BaseModel],
) -> Response:
    """The body that ``build`` makes of images with URLs, which are generated on request.

    Raises ParameterError if an image is not that of a seed, or if the request's timeout is not
    allowed.
    """
    version, context = drawing.version, drawing.context
    context.timeout()  # so that a wrong one is refused, although nothing takes time
    others = sum(not isinstance(source, int) for source in sources)
    if others:
        allowed = "json, or another format with the images themselves: "
        allowed += f"{others} of the {len(sources)} images are not those of a seed alone and have "
        allowed += "no URL"
        raise parameter_error(invalid("format", "query", "urls", allowed))
    found = build(described(version, options_of, sources, context.public_url))
    content = found.model_dump_json(by_alias=True, exclude_none=True).encode()
    named = (b"x-model", str(version.key).encode()), (b"x-seed", str(sources[0]).encode())
    about = entity_headers(JSON, len(content))
    return RawResponse(content, (*named, (b"vary", b"Accept"), *about))


def described(
    version: ModelVersion, options_of: OptionsOf, sources: Sequence[Source], base: str
) -> list[dict[str, Any]]:
    """The fields of each image that do not depend on its pixels, see ``schemas.SomeImage``.

    ``base`` is the server's URL.
    """
    height, width = version.image_size(options_of(0))
    found: list[dict[str, Any]] = []
    for k, source in enumerate(sources):
        image: dict[str, Any] = {}
        if isinstance(source, int):
            image = {"seed": source, "url": url(version, options_of(k), source, base=base)}
        elif source is not None:
            image = {"latent": np.asarray(source, np.float32).tolist()}
        found.append({**image, "width": width, "height": height})
    return found


def with_files(
    images: Sequence[dict[str, Any]], drawn: Drawn, files: Sequence[bytes]
) -> list[dict[str, Any]]:
    """``images`` with their PNG ``files``, and their classes or attributes."""
    return [
        {**image, "png": responses.base64_text(file), **drawn.condition(k)}
        for k, (image, file) in enumerate(zip(images, files, strict=True))
    ]


def _generated(version: ModelVersion, images: Sequence[dict[str, Any]]) -> Generated:
    card = version.card
    return Generated(
        model=card.name,
        version=card.version,
        images=[GeneratedImage.model_validate(image) for image in images],
    )
