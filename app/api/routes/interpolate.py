"""``GET /interpolate``: frames on a path from one seed to another, or through several."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import openapi, responses, streaming
from app.api.content_negotiation import APNG, GIF, JSON, NDJSON, PNG, WEBP, ZIP, choose
from app.api.dependencies import KeyRoute
from app.api.drawing import Route, require_absent
from app.api.drawn import Drawn
from app.api.parameters import Format, InterpolateQuery
from app.api.schemas import Frame, Interpolated
from app.errors import invalid, parameter_error
from app.imaging.sheets import Sheet
from app.latent import choices, interpolation
from app.latent.choices import Choice
from app.latent.sampling import SEEDS
from app.registry import chosen_conditions
from app.registry.model_version import ModelVersion

router = APIRouter(tags=["images"], route_class=KeyRoute)

_MEDIA_TYPES: dict[Format, str] = {
    "png": PNG,
    "gif": GIF,
    "webp": WEBP,
    "apng": APNG,
    "json": JSON,
    "ndjson": NDJSON,
    "zip": ZIP,
}
_OFFERED = tuple(_MEDIA_TYPES.values())


@router.get(
    "/interpolate",
    response_model=Interpolated,
    responses=openapi.images(
        _OFFERED, "The frames: a strip, an animation, JSON, lines of JSON, or a ZIP"
    ),
)
async def interpolate(query: Annotated[InterpolateQuery, Query()], route: Route) -> Response:
    """Generate `steps` frames from the image of seed `from` to that of `to`, including both.

    With `seeds` instead, the path leads through several seeds and `steps` is the number of frames
    in each segment: the frame at the end of one segment is the first of the next and occurs once.
    `loop` adds a segment back to the first seed, without repeating its frame, so that the frames
    repeat smoothly. `easing` moves the frames of each segment towards its ends.

    `format`, or else `Accept`, selects the format: `png` (the default) is a strip; `gif`, `webp`
    and `apng` are animations with `fps` frames per second, which repeat permanently with `loop` and
    otherwise play once; `json` has every frame as base64; `ndjson` has one line per frame, sent
    while later frames are generated, and a last line that reports a failure, if any; `zip` has one
    PNG file per frame.
    """
    media_type = _MEDIA_TYPES[query.format] if query.format else choose(route.accept, _OFFERED)
    seeds, steps, loop, easing = _seeds(query), query.steps, query.loop, query.easing
    count = interpolation.frame_count(len(seeds), steps, loop=loop)
    requested = _count_parameters(query)
    route.check_count(count, **requested)
    version = route.find(query.model, query.version)
    choice = _choice(query, version, seeds)
    options = query.options(version.edit(query.strengths), choice)
    sheet = query.sheet(query.columns or count)
    drawing = route.drawing(
        version, options, sheet, count, **{**requested, **query.size_parameters}
    )
    path = partial(interpolation.path, steps=steps, loop=loop, easing=easing)
    latents = path(drawing.latents(seeds), method=query.method)
    rows = drawing.rows(latents, path(drawing.conditions(seeds), method="lerp"))
    if media_type == NDJSON:
        positions = _positions(query, seeds)
        return await streaming.frames(drawing, rows, positions, seeds[0], route.request.path)
    drawn = await drawing.draw(rows, media_type)
    return await _encoded(media_type, drawn, query, seeds, sheet)


def _choice(query: InterpolateQuery, version: ModelVersion, seeds: list[int]) -> Choice:
    """The classes or attributes at the seeds of the path.

    Raises ParameterError if parameters contradict each other, or if the version does not have them.
    """
    ends = {"from_class": query.from_class, "to_class": query.to_class}
    given = {name: text for name, text in ends.items() if text is not None}
    for name, others in (("class", query.classes), ("seeds", query.seeds)):
        if others is not None:
            require_absent(name, given)
    if not given:
        return version.choice(query.mixtures, query.amounts, len(seeds))
    version.choice((), query.amounts)
    named = {name: choices.parse_mixture(text) for name, text in given.items()}
    return chosen_conditions.ends(version.card, version.conditions(seeds), named)


def _positions(query: InterpolateQuery, seeds: list[int]) -> list[float]:
    """The position of each frame on the path, from 0 to 1."""
    return interpolation.positions(len(seeds), query.steps, loop=query.loop, easing=query.easing)


async def _encoded(
    media_type: str, drawn: Drawn, query: InterpolateQuery, seeds: list[int], sheet: Sheet
) -> Response:
    """The frames in the requested format."""
    if media_type == JSON:
        return await _json(query, seeds, drawn)
    if media_type in responses.ANIMATIONS:
        return await responses.animated(media_type, drawn, seeds[0], query.fps, repeat=query.loop)
    if media_type == ZIP:
        files = responses.numbered(await responses.pngs(drawn))
        return await responses.archive(files, drawn, seeds[0])
    return await responses.png(sheet, drawn, seeds[0], mixed=True)


async def _json(query: InterpolateQuery, seeds: list[int], drawn: Drawn) -> Response:
    """Every frame in JSON."""
    files = await responses.pngs(drawn)

    def body() -> Interpolated:
        return Interpolated(
            model=drawn.version.card.name,
            version=drawn.version.card.version,
            method=query.method,
            seeds=seeds,
            loop=query.loop,
            easing=query.easing,
            frames=[
                Frame(position=position, png=responses.base64_text(file), **drawn.condition(k))
                for k, (position, file) in enumerate(
                    zip(_positions(query, seeds), files, strict=True)
                )
            ],
        )

    return await responses.json(body, files, drawn, seeds[0])


def _seeds(query: InterpolateQuery) -> list[int]:
    """The seeds of the path. Raises ParameterError if they are ambiguous or incomplete."""
    ends = {"from": query.start, "to": query.end}
    if query.seeds is not None:
        require_absent("seeds", ends)
        return query.seeds
    allowed = f"an integer from 0 to {SEEDS - 1}, or seeds given instead of from and to"
    missing = [name for name, seed in ends.items() if seed is None]
    if missing:
        raise parameter_error(*(invalid(name, "query", None, allowed) for name in missing))
    return [seed for seed in ends.values() if seed is not None]


def _count_parameters(query: InterpolateQuery) -> dict[str, object]:
    """The parameters that determine the number of frames."""
    if query.seeds is None:
        return {"steps": query.steps}
    return {"seeds": ",".join(map(str, query.seeds)), "steps": query.steps}
