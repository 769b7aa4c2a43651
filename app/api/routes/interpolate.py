"""``GET`` and ``POST /interpolate``: frames on a path through two or more points."""

from collections.abc import Mapping
from functools import partial

from fastapi import APIRouter, Request, Response

from app.api import direct_route, openapi, points, responses, streaming
from app.api.bodies import InterpolateBody
from app.api.content_negotiation import APNG, GIF, JSON, NDJSON, PNG, WEBP, ZIP, choose
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import RouteContext, require_absent, route_context
from app.api.drawn import Drawn
from app.api.parameters import Format, InterpolateQuery
from app.api.schemas import Frame, Interpolated
from app.errors import BodyTooLargeError, invalid, parameter_error
from app.imaging.sheets import Sheet
from app.latent import choices, interpolation
from app.latent.choices import Choice
from app.latent.sampling import SEEDS, Points
from app.registry import chosen_conditions
from app.registry.model_version import ModelVersion

router = APIRouter(tags=["images"], route_class=DirectKeyRoute)

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
_FRAMES = openapi.images(
    _OFFERED, "The frames: a strip, an animation, JSON, lines of JSON, or a ZIP"
)
_Parameters = InterpolateQuery | InterpolateBody


@router.get(
    "/interpolate",
    response_model=Interpolated,
    responses=_FRAMES,
    openapi_extra=direct_route.description(InterpolateQuery),
)
async def interpolate(request: Request) -> Response:
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
    query = direct_route.parse_query(request, InterpolateQuery)
    seeds = _seeds(query)
    given = {} if query.seeds is None else {"seeds": ",".join(map(str, query.seeds))}
    return await _path(query, seeds, given, route_context(request))


@router.post(
    "/interpolate",
    response_model=Interpolated,
    responses={**_FRAMES, **openapi.problems(BodyTooLargeError)},
    openapi_extra=direct_route.body_description(InterpolateBody),
)
async def interpolate_points(request: Request) -> Response:
    """Generate the frames of a path through `points`, each of which is a seed or a latent.

    The body has the parameters of `GET`, and `points` in place of `seeds`. `class` names one class
    for each point.
    """
    body = await direct_route.require_body(request, InterpolateBody)
    return await _path(body, body.points, {"points": len(body.points)}, route_context(request))


async def _path(
    query: _Parameters, stops: Points, given: Mapping[str, object], route: RouteContext
) -> Response:
    """The frames on the path through ``stops``, which ``given`` names in errors."""
    media_type = _MEDIA_TYPES[query.format] if query.format else choose(route.accept, _OFFERED)
    steps, loop, easing, place = query.steps, query.loop, query.easing, query.place
    count = interpolation.frame_count(len(stops), steps, loop=loop)
    requested = {**given, "steps": steps}
    route.check_count(count, place, **requested)
    version = route.find(query.model, query.version, place)
    points.check_width(version, points.named("points", stops))
    options = query.options(version.edit(query.strengths, place), _choice(query, version, stops))
    sheet = query.sheet(query.columns or count)
    requested |= query.size_parameters
    drawing = route.drawing(version, options, sheet, count, place, **requested)
    path = partial(interpolation.path, steps=steps, loop=loop, easing=easing)
    latents = path(drawing.latents(stops), method=query.method)
    rows = drawing.rows(latents, path(drawing.conditions(stops), method="lerp"))
    if media_type == NDJSON:
        positions, seed = _positions(query, stops), points.first_seed(stops)
        return await streaming.frames(drawing, rows, positions, seed, route.request.path)
    drawn = await drawing.draw(rows, media_type)
    return await _encoded(media_type, drawn, query, stops, sheet)


def _choice(query: _Parameters, version: ModelVersion, stops: Points) -> Choice:
    """The classes or attributes at the stops of the path.

    Raises ParameterError if parameters contradict each other, or if the version does not have them.
    """
    ends = _ends(query) if isinstance(query, InterpolateQuery) else {}
    if not ends:
        return version.choice(query.mixtures, query.amounts, len(stops), query.place)
    version.choice((), query.amounts)
    named = {name: choices.parse_mixture(text) for name, text in ends.items()}
    return chosen_conditions.ends(version.card, version.conditions(stops), named)


def _ends(query: InterpolateQuery) -> dict[str, str]:
    """The classes of the first and the last frame. Raises ParameterError as ``_choice``."""
    ends = {"from_class": query.from_class, "to_class": query.to_class}
    given = {name: text for name, text in ends.items() if text is not None}
    for name, others in (("class", query.classes), ("seeds", query.seeds)):
        if others is not None:
            require_absent(name, given)
    return given


def _positions(query: _Parameters, stops: Points) -> list[float]:
    """The position of each frame on the path, from 0 to 1."""
    return interpolation.positions(len(stops), query.steps, loop=query.loop, easing=query.easing)


async def _encoded(
    media_type: str, drawn: Drawn, query: _Parameters, stops: Points, sheet: Sheet
) -> Response:
    """The frames in the requested format."""
    seed = points.first_seed(stops)
    if media_type == JSON:
        return await _json(query, stops, drawn)
    if media_type in responses.ANIMATIONS:
        return await responses.animated(media_type, drawn, seed, query.fps, repeat=query.loop)
    if media_type == ZIP:
        files = responses.numbered(await responses.pngs(drawn))
        return await responses.archive(files, drawn, seed)
    return await responses.png(sheet, drawn, seed, mixed=True)


async def _json(query: _Parameters, stops: Points, drawn: Drawn) -> Response:
    """Every frame in JSON."""
    files = await responses.pngs(drawn)
    seeds = [stop for stop in stops if isinstance(stop, int)]

    def body() -> Interpolated:
        return Interpolated(
            model=drawn.version.card.name,
            version=drawn.version.card.version,
            method=query.method,
            seeds=seeds if len(seeds) == len(stops) else None,
            loop=query.loop,
            easing=query.easing,
            frames=[
                Frame(position=position, png=responses.base64_text(file), **drawn.condition(k))
                for k, (position, file) in enumerate(
                    zip(_positions(query, stops), files, strict=True)
                )
            ],
        )

    return await responses.json(body, files, drawn, points.first_seed(stops))


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
