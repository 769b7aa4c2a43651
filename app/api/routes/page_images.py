"""Images for the page alone: that of a latent, for previews of links, and the frames of a morph.

The page computes the latents and the classes or attributes of both itself.
"""

import base64

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api import direct_route, points, responses
from app.api.bodies import LatentRows
from app.api.drawing import route_context
from app.api.endpoints import Access, Endpoints
from app.api.parameters import FramesPerSecond, ImageQuery, ModelQuery, Scale, Version
from app.api.raw_response import permanent
from app.api.responses import Shown
from app.artifact.card import ModelName, VersionNumber
from app.errors import invalid, parameter_error
from app.imaging.animation import AnimationFormat
from app.imaging.sheets import Sheet
from app.latent.sampling import Latents
from app.middleware.endpoint_traits import EndpointTraits
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

ENDPOINTS = Endpoints(
    APIRouter(include_in_schema=False, route_class=direct_route.DirectKeyRoute),
    access=Access.WITH_KEY,
    traits=EndpointTraits(latents=points.MAX_ROWS, pays="first"),
)
router = ENDPOINTS.router

_SHEET = Sheet(columns=1)
_STEPS = 2048
"""Per unit, in the text of a latent; ``latents.js`` has the same."""


class LatentQuery(ImageQuery):
    """Query of ``GET /web/latent.png``: the fields of a recipe that has a latent."""

    model: ModelName
    version: Version
    latent: str = Field(pattern=r"^[A-Za-z0-9_-]+$")


class NoQuery(BaseModel):
    """Query of ``POST /web/morph``, whose parameters are all in the body."""

    model_config = ConfigDict(extra="forbid")


class MorphBody(ModelQuery):
    """Body of ``POST /web/morph``."""

    model_config = ConfigDict(strict=True)
    model: ModelName
    version: VersionNumber
    frames: LatentRows
    """The inputs of the graph for each frame: its latent, and its classes or attributes."""
    format: AnimationFormat
    fps: FramesPerSecond
    scale: Scale


def read_latent(version: ModelVersion, text: str) -> Latents:
    """The latent in the text of a recipe: ``(1, width)``. Raises ParameterError."""
    width = version.card.latent.width
    try:
        content = base64.b64decode(text + -len(text) % 4 * "=", b"-_", validate=True)
    except ValueError:  # binascii.Error, or letters beyond ASCII
        content = b""
    if len(content) != 2 * width:
        allowed = f"{width} numbers of 16 bits in base64 for {version.key}"
        raise parameter_error(invalid("latent", "query", text, allowed))
    return np.float32(1 / _STEPS) * np.frombuffer(content, "<i2").astype(np.float32)[None]


@router.get("/web/latent.png")
async def latent_image(request: Request) -> Response:
    """Return the image of a recipe that has a latent."""
    query = direct_route.parse_query(request, LatentQuery)
    route = route_context(request)
    version = route.find(query.model, query.version)
    choice = version.choice(query.mixtures, query.amounts)
    options = query.options(version.edit(query.strengths), choice)
    drawing = route.drawing(version, options, _SHEET, 1, scale=query.scale)
    latents = query.truncation * read_latent(version, query.latent)
    rows = drawing.rows(latents, version.typical_conditions(1, options))
    drawn = await drawing.draw(rows, on_sheet=True)
    cached = permanent(private=route.request.needs_key)
    return await responses.on_sheet("png", _SHEET, drawn, Shown(None), *cached)


@router.post("/web/morph")
async def morph(request: Request) -> Response:
    """Return an animation of frames, each of which may have its own classes or attributes."""
    direct_route.parse_query(request, NoQuery)
    body = await direct_route.parse_body(request, MorphBody)
    if body is None:
        raise parameter_error(invalid("frames", "body", None, "a list of lists of numbers"))
    route = route_context(request)
    count = len(body.frames)
    route.check_count(count, "body", frames=count)
    version = route.find(body.model, body.version, "body")
    drawing = route.drawing(
        version, DrawOptions(scale=body.scale), _SHEET, count, "body", scale=body.scale
    )
    drawn = await drawing.draw(_rows(version, body.frames), on_sheet=False)
    return await responses.animated(body.format, drawn, None, body.fps, repeat=True)


def _rows(version: ModelVersion, frames: list[list[float]]) -> GraphInputs:
    """The inputs of the graph for ``frames``. Raises ParameterError for wrong numbers."""
    latent, sampler = version.card.latent.width, version.card.sampler
    width = latent + (len(sampler.names) if sampler else 0)
    for k, frame in enumerate(frames):
        if len(frame) != width:
            allowed = f"a list of {width} numbers for {version.key}"
            raise parameter_error(invalid(f"frames.{k}", "body", len(frame), allowed))
    numbers = np.array(frames, np.float32)
    conditions = numbers[:, latent:]
    try:
        conditions = sampler.from_rows(conditions) if sampler else conditions
    except ValueError as error:
        raise parameter_error(invalid("frames", "body", str(error), "valid conditions")) from error
    return version.rows(numbers[:, :latent], conditions)
