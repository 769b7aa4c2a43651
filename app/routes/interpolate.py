"""``GET /interpolate``: the way from one seed to another."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app import images, latents, openapi, responses
from app.deps import Accept, ImageLimit, InService
from app.negotiation import JSON, PNG, choose
from app.schemas import Frame, Interpolated, InterpolateQuery

router = APIRouter(tags=["images"])

_OFFERED = (PNG, JSON)


@router.get(
    "/interpolate",
    response_model=Interpolated,
    responses=openapi.pictures(_OFFERED, "A strip of the frames, or JSON of each"),
)
async def interpolate(
    query: Annotated[InterpolateQuery, Query()],
    catalog: InService,
    accept: Accept,
    limit: ImageLimit,
) -> Response:
    """Draw `steps` frames from the image of seed `from` to that of seed `to`, both included.

    `image/png` (the default) answers a strip, `application/json` every frame as base64.
    """
    media_type = choose(accept, _OFFERED)
    limit.check(query.steps, steps=query.steps)
    served = catalog.find(query.model, query.version)
    start, end = served.latents([query.start, query.end])
    pixels = await served.draw(latents.interpolate(start, end, query.steps, query.method))
    if media_type == PNG:
        return await responses.png(images.sheet(pixels, columns=query.steps), served)
    frames = [
        Frame(position=k / (query.steps - 1), png=responses.base64_text(file))
        for k, file in enumerate(await responses.pngs(pixels, served))
    ]
    card = served.card
    body = Interpolated(model=card.name, version=card.version, method=query.method, frames=frames)
    return responses.json(body, served)
