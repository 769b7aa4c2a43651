"""``GET /interpolate``: the way from one seed to another, or through several."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api import openapi, responses, streaming
from app.api.content_negotiation import APNG, GIF, JSON, NDJSON, PNG, WEBP, ZIP, choose
from app.api.dependencies import Accept, ImageLimit, InService, exclusive
from app.api.parameters import InterpolateQuery
from app.api.schemas import Frame, Interpolated
from app.api.values import Format
from app.errors import offence, refusal
from app.latent import interpolation
from app.latent.sampling import SEEDS
from app.registry.model_version import Drawn

router = APIRouter(tags=["images"])

_OFFERED: dict[Format, str] = {
    "png": PNG,
    "gif": GIF,
    "webp": WEBP,
    "apng": APNG,
    "json": JSON,
    "ndjson": NDJSON,
    "zip": ZIP,
}


@router.get(
    "/interpolate",
    response_model=Interpolated,
    responses=openapi.pictures(
        [*_OFFERED.values()], "The frames: a strip, an animation, JSON, lines of JSON, or a ZIP"
    ),
)
async def interpolate(
    query: Annotated[InterpolateQuery, Query()],
    catalog: InService,
    accept: Accept,
    limit: ImageLimit,
    request: Request,
) -> Response:
    """Draw `steps` frames from the image of seed `from` to that of seed `to`, both included.

    With `seeds` in their place the way leads through several, and so many frames are a leg: the
    image at the end of one is the first of the next and drawn once. With `loop` a last leg leads
    back, short of the first image, so that the frames repeat without a hitch. `easing` moves the
    frames of every leg towards its ends.

    `format`, or else `Accept`, chooses the answer: `png` (the default) a strip; `gif`, `webp` or
    `apng` an animation of `fps` frames a second, which repeats for ever with `loop` and else plays
    once; `json` every frame as base64; `ndjson` the same in a line each, sent while the next are
    drawn, of which the last tells of a failure, if any; `zip` a PNG file each.
    """
    media_type = _OFFERED[query.format] if query.format else choose(accept, (*_OFFERED.values(),))
    seeds, steps, loop, easing = _seeds(query), query.steps, query.loop, query.easing
    count = interpolation.frame_count(len(seeds), steps, loop=loop)
    limit.check(count, **_asked(query))
    served = catalog.find(query.model, query.version).editing(query.strengths, query.look)
    sheet = query.sheet(query.columns or count)
    limit.check_size(served, sheet, count, **_asked(query), **query.told)
    rows = interpolation.path(served.latents(seeds), steps, query.method, loop=loop, easing=easing)
    if media_type == NDJSON:
        places = _positions(query, seeds)
        return await streaming.frames(served, rows, places, seeds[0], request.url.path)
    drawn = await served.draw(rows)
    if media_type == JSON:
        return await _told(query, seeds, drawn)
    if media_type in responses.ANIMATIONS:
        return await responses.animated(media_type, drawn, seeds[0], query.fps, repeat=loop)
    if media_type == ZIP:
        files = responses.numbered(await responses.pngs(drawn))
        return responses.archive(files, drawn, seeds[0])
    return await responses.png(sheet, drawn, seeds[0], mixed=True)


def _positions(query: InterpolateQuery, seeds: list[int]) -> list[float]:
    """Where on the way each frame is."""
    return interpolation.positions(len(seeds), query.steps, loop=query.loop, easing=query.easing)


async def _told(query: InterpolateQuery, seeds: list[int], drawn: Drawn) -> Response:
    """Every frame in JSON."""
    files = map(responses.base64_text, await responses.pngs(drawn))
    body = Interpolated(
        model=drawn.served.card.name,
        version=drawn.served.card.version,
        method=query.method,
        seeds=seeds,
        loop=query.loop,
        easing=query.easing,
        frames=[
            Frame(position=position, png=file)
            for position, file in zip(_positions(query, seeds), files, strict=True)
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
