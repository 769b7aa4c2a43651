"""``POST /v1/images/generations``: images by OpenAI's API."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Response

from app.api import responses
from app.api.content_negotiation import JSON, WEBP, choose
from app.api.dependencies import KeyRoute, refused_in_query
from app.api.drawing import DRAWING_ERRORS, Drawing, Route
from app.api.drawn import Drawn
from app.api.endpoints import Access, Endpoints
from app.api.openai import prompts
from app.api.openai.models import parse_id
from app.api.openai.schemas import CreatedImage, ImageRequest, ImagesResponse
from app.api.parameters import start
from app.api.routes.images import url
from app.errors import (
    BodyTooLargeError,
    invalid,
    parameter_error,
)
from app.imaging.sheets import MAX_SCALE, Sheet, square_columns
from app.latent.choices import MAX_MIXED
from app.latent.edits import NO_EDIT
from app.latent.sampling import consecutive
from app.middleware.endpoint_traits import EndpointTraits
from app.registry.chosen_conditions import listed
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(
    APIRouter(prefix="/v1", tags=["openai"], route_class=KeyRoute),
    access=Access.WITH_KEY,
    errors=(*DRAWING_ERRORS, BodyTooLargeError),
    traits=EndpointTraits(pays="first"),
)
router = ENDPOINTS.router


@dataclass(frozen=True)
class _Images:
    """The images that a request asks for."""

    drawing: Drawing
    seeds: list[int]
    form: Literal["png", "webp"]
    understood: str
    """What was understood of the prompt; empty if the prompt is."""

    @property
    def version(self) -> ModelVersion:
        """The version that generates them."""
        return self.drawing.version

    def url(self, seed: int) -> str:
        """The URL of one image."""
        base = self.drawing.context.public_url
        return url(self.version, self.drawing.options, seed, self.form, base)

    async def files(self) -> tuple[Drawn, Sequence[bytes]]:
        """The images, generated and encoded."""
        version, options = self.version, self.drawing.options
        drawn = await self.drawing.draw(
            version.rows_from_seeds(self.seeds, options), on_sheet=False
        )
        if self.form == "png":
            return drawn, await responses.pngs(drawn, self.seeds)
        parts = (drawn.part(slice(k, k + 1)) for k in range(len(self.seeds)))
        pairs = zip(parts, self.seeds, strict=True)
        return drawn, await asyncio.gather(
            *(responses.image_file(part, seed, WEBP) for part, seed in pairs)
        )

    def response(self, texts: Sequence[dict[str, str]]) -> ImagesResponse:
        """The response with what ``texts`` says about each image."""
        height, width = self.version.image_size(self.drawing.options)
        prompts_and_seeds = zip(self._revised_prompts(), self.seeds, texts, strict=True)
        return ImagesResponse(
            created=int(time.time()),
            model=str(self.version.key),
            size=f"{width}x{height}",
            output_format=self.form,
            data=[
                CreatedImage(revised_prompt=prompt, seed=seed, **text)
                for prompt, seed, text in prompts_and_seeds
            ],
        )

    def _revised_prompts(self) -> list[str | None]:
        sampler = self.version.card.sampler
        if sampler is None:
            return [None] * len(self.seeds)
        if self.understood:
            return [self.understood] * len(self.seeds)
        rows = self.version.conditions(self.seeds)
        return [prompts.described(sampler, row) for row in rows]


_EXAMPLE = {"prompt": "a red sneaker", "model": "fashion-mnist", "n": 2, "seed": 42}


@router.post(
    "/images/generations",
    response_model=ImagesResponse,
    dependencies=[refused_in_query(*ImageRequest.model_fields)],
    openapi_extra={"requestBody": {"content": {JSON: {"example": _EXAMPLE}}}},
)
async def create_image(body: ImageRequest, route: Route) -> Response:
    """Generate images as OpenAI's API does: its clients work unchanged.

    The words of `prompt` choose the class or the attributes of a conditional model: "a red sneaker"
    is a sneaker, "no beard" is a face without a beard. `revised_prompt` in the response says what
    was understood. An empty prompt leaves the choice to the seeds; models that are not conditional
    accept no other. Images at a `url` are generated when they are requested, always the same bytes.
    """
    choose(route.accept, (JSON,))
    images = _requested(body, route)
    if body.response_format == "url":
        route.request.timeout()  # so that a wrong one is refused, although nothing takes time
        found = images.response([{"url": images.url(seed)} for seed in images.seeds])
        content = found.model_dump_json(exclude_none=True)
        headers = {"X-Model": found.model, "X-Seed": str(images.seeds[0])}
        return Response(content, media_type=JSON, headers=headers)
    drawn, files = await images.files()

    def encoded() -> ImagesResponse:
        return images.response([{"b64_json": responses.base64_text(file)} for file in files])

    return await responses.json(encoded, files, drawn, images.seeds[0])


def _requested(body: ImageRequest, route: Route) -> _Images:
    """The images that ``body`` asks for. Raises NotFoundError, NotReadyError, ParameterError."""
    count = body.n or 1
    route.check_count(count, "body", n=count)
    version = route.find(*parse_id(body.model), "body")
    understood = _understood(body.prompt, version)
    choice = version.choice(
        [understood.mixture] if understood.mixture else [], understood.amounts, count, "body"
    )
    options = DrawOptions(NO_EDIT, scale=_scale(body.size, version), choice=choice)
    sheet = Sheet(square_columns(count))
    drawing = route.drawing(version, options, sheet, count, "body", n=count, size=body.size)
    first = start(body.seed)
    seeds = consecutive(first, count)
    return _Images(drawing, seeds, body.output_format or "png", understood.text)


def _understood(prompt: str, version: ModelVersion) -> prompts.Understood:
    """What ``prompt`` says. Raises ParameterError if it is not empty but names nothing."""
    if not prompt.strip():
        return prompts.Understood({}, {}, "")
    sampler = version.card.sampler
    if sampler is None:
        allowed = f"empty, as {version.key} has neither classes nor attributes to choose"
        raise parameter_error(invalid("prompt", "body", prompt, allowed))
    understood = prompts.understand(prompt, sampler)
    if not understood.text or len(understood.mixture) > MAX_MIXED:
        kinds = {"class": f"1 to {MAX_MIXED} classes", "attributes": "attributes"}
        allowed = f"empty or text that names {kinds[sampler.parameter]} of {version.key}: "
        allowed += listed(sampler.names)
        raise parameter_error(invalid("prompt", "body", prompt, allowed))
    return understood


def _scale(size: str | None, version: ModelVersion) -> int:
    """The factor by which images are enlarged. Raises ParameterError for another size."""
    image = version.card.image
    scales = {
        f"{scale * image.width}x{scale * image.height}": scale for scale in range(1, MAX_SCALE + 1)
    }
    if size in {None, "auto"}:
        return 1
    if size not in scales:
        allowed = f"one of auto, {', '.join(scales)} for {version.key}"
        raise parameter_error(invalid("size", "body", size, allowed))
    return scales[size]
