"""``GET /interpolate``: the way from one seed to another, or through several."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app import images, openapi, paths, responses
from app.deps import Accept, ImageLimit, InService, exclusive
from app.errors import offence, refusal
from app.latents import SEEDS
from app.negotiation import JSON, PNG, choose
from app.requests import InterpolateQuery
from app.schemas import Frame, Interpolated

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

    With `seeds` in their place the way leads through several, and so many frames are a leg: the
    image at the end of one is the first of the next and drawn once. With `loop` a last leg leads
    back, short of the first image, so that the frames repeat without a hitch.
    `image/png` (the default) answers a strip, `application/json` every frame as base64.
    """
    media_type = choose(accept, _OFFERED)
    seeds = _seeds(query)
    count = paths.frames(len(seeds), query.steps, loop=query.loop)
    limit.check(count, **_asked(query))
    served = catalog.find(query.model, query.version).editing(query.strengths)
    way = paths.through(served.latents(seeds), query.steps, query.method, loop=query.loop)
    drawn = await served.draw(way)
    if media_type == PNG:
        strip = images.sheet(drawn.pixels, columns=count)
        return await responses.png(strip, drawn, seeds[0], mixed=True)
    # A loop is at its end one frame after its last.
    end = count if query.loop else count - 1
    body = Interpolated(
        model=served.card.name,
        version=served.card.version,
        method=query.method,
        seeds=seeds,
        loop=query.loop,
        frames=[
            Frame(position=k / end, png=responses.base64_text(file))
            for k, file in enumerate(await responses.pngs(drawn))
        ],
    )
    return responses.json(body, drawn, seeds[0])


def _seeds(query: InterpolateQuery) -> list[int]:
    """The seeds that the way leads through. Raises ParameterError where that is unclear."""
    ends = {"from": query.start, "to": query.end}
    if query.seeds is not None:
        exclusive("seeds", ends)
        return query.seeds
    allowed = f"an integer from 0 to {SEEDS - 1}, or seeds given in place of from and to"
    missing = [name for name, seed in ends.items() if seed is None]
    if missing:
        raise refusal(*(offence(name, "query", None, allowed) for name in missing))
    return [seed for seed in ends.values() if seed is not None]


def _asked(query: InterpolateQuery) -> dict[str, object]:
    """The parameters that decide how many frames there are."""
    if query.seeds is None:
        return {"steps": query.steps}
    return {"seeds": ",".join(map(str, query.seeds)), "steps": query.steps}
