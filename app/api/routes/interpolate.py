"""``GET`` and ``POST /interpolate``: frames on a path through two or more points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from app.api import direct_route, generated, merging, openapi, points, responses, streaming
from app.api.bodies import EditBody
from app.api.condition_types import BodyClass, ClassText
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import DRAWING_ERRORS, Drawing, RouteContext, require_absent
from app.api.endpoints import Access, Endpoints
from app.api.formats import PATH, Format, PathFormat
from app.api.generated import Source
from app.api.numbers import decimal
from app.api.parameters import (
    FORMAT,
    URLS,
    ClassesQuery,
    ColumnsQuery,
    EditQuery,
    FramesPerSecond,
    ModelQuery,
    Parameters,
    Seed,
)
from app.api.points import PointBody
from app.api.query_lists import split
from app.api.responses import Shown
from app.api.schemas import Frame, Interpolated
from app.errors import BodyTooLargeError, invalid, parameter_error
from app.imaging.animation import AnimationFormat
from app.latent import choices, interpolation
from app.latent.choices import Choice, Mixture
from app.latent.interpolation import Easing
from app.latent.sampling import SEEDS, Method, Points
from app.registry import chosen_conditions
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=points.TRAITS,
)
router = ENDPOINTS.router

_ANIMATIONS: dict[Format, AnimationFormat] = {"gif": "gif", "webp": "webp", "apng": "apng"}
_FRAMES = openapi.formats(PATH, "The frames: a strip, an animation, JSON, lines of JSON, or a ZIP")

_FROM_CLASS = "class of the first frame; not with `class` or `seeds`"
_TO_CLASS = "class of the last frame; not with `class` or `seeds`"
_Steps = Annotated[int, Field(ge=2, le=256), BeforeValidator(decimal)]
_SeedStops = Annotated[
    list[Seed], Field(min_length=2, max_length=16, fail_fast=True), BeforeValidator(split)
]
_Stops = Annotated[list[PointBody], Field(min_length=2, max_length=16, fail_fast=True)]


class PathQuery(Parameters):
    """A path, and the format of its frames."""

    steps: _Steps = Field(8, description="frames from one seed to the next, including both")
    method: Method = Field(
        "slerp", description="spherical (`slerp`) or linear (`lerp`) interpolation"
    )
    loop: bool = Field(
        False,
        description="close the path to the first seed; an animation then repeats permanently "
        "instead of playing once",
    )
    easing: Easing = Field(
        "linear",
        description="whether the frames of each segment are closer together at its start, its end, "
        "or both",
    )
    format: PathFormat | None = Field(
        None, description=f"{FORMAT}, else a strip as PNG; `webp` is an animation; {URLS}"
    )
    fps: FramesPerSecond = Field(12, description="frames per second of an animation")


class PathSeeds(PathQuery, ColumnsQuery):
    """A path through seeds."""

    start: Seed | None = Field(
        None,
        alias="from",
        description="seed of the first frame; not with `seeds`",
        json_schema_extra={"example": 3},
    )
    end: Seed | None = Field(
        None,
        alias="to",
        description="seed of the last frame; not with `seeds`",
        json_schema_extra={"example": 17},
    )
    seeds: _SeedStops | None = Field(
        None,
        description="the 2 to 16 seeds of a path, instead of `from` and `to`",
        examples=[[3, 17, 99]],
    )


class InterpolateQuery(PathSeeds, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``/interpolate``."""

    in_json: ClassVar[Mapping[str, str]] = {
        **Parameters.in_json,
        "from_class": "first_mixture",
        "to_class": "last_mixture",
    }

    from_class: ClassText | None = Field(None, description=_FROM_CLASS)
    to_class: ClassText | None = Field(None, description=_TO_CLASS)

    @property
    def first_mixture(self) -> Mixture | None:
        """The class of the first frame."""
        return None if self.from_class is None else choices.parse_mixture(self.from_class)

    @property
    def last_mixture(self) -> Mixture | None:
        """The class of the last frame."""
        return None if self.to_class is None else choices.parse_mixture(self.to_class)


class InterpolateBody(PathSeeds, EditBody, ModelQuery):
    """The parameters of ``/interpolate`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"points": [3, 17], "steps": 8}

    from_class: BodyClass | None = Field(None, description=_FROM_CLASS)
    to_class: BodyClass | None = Field(None, description=_TO_CLASS)
    points: _Stops | None = Field(
        None,
        description="the points of a path, each a seed or a latent, instead of seeds",
        examples=[[3, 17]],
    )


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
    otherwise play once; `json` has every frame as base64, with the URL of those at seeds; `urls`
    has URLs alone, if all frames have one (`steps=2`); `ndjson` has one line per frame, sent while
    later frames are generated, and a last line that reports a failure, if any; `zip` has one
    PNG file per frame.
    """
    return await merging.answer(request, InterpolateQuery, InterpolateBody, _path)


@router.post(
    "/interpolate",
    response_model=Interpolated,
    responses={**_FRAMES, **openapi.problems(BodyTooLargeError)},
    openapi_extra=direct_route.description(InterpolateQuery, InterpolateBody),
)
async def interpolate_points(request: Request) -> Response:
    """Generate the frames of a path through `points`, each of which is a seed or a latent.

    The parameters are those of `GET`, in the query or in the body, which may have `points` in place
    of seeds. `class` names one class for each point.
    """
    return await merging.answer(request, InterpolateQuery, InterpolateBody, _path)


async def _path(route: RouteContext, given: InterpolateBody) -> Response:
    """The frames on the requested path."""
    form = PATH.chosen(given.format, route.accept)
    stops, requested = _stops(given)
    steps, loop, easing = given.steps, given.loop, given.easing
    count = interpolation.frame_count(len(stops), steps, loop=loop)
    requested["steps"] = steps
    route.check_count(count, **requested)
    version = route.find(given.model, given.version)
    points.check_width(version, points.named("points", stops))
    options = given.options(version.edit(given.strengths), _choice(given, version, stops))
    sheet = given.sheet(given.columns or count)
    requested |= given.size_parameters
    drawing = route.drawing(version, options, sheet, count, **requested)
    frames = _Frames(drawing, given, stops, count)
    if form == "urls":
        return generated.addresses(drawing, frames.sources, frames.options_of, frames.body)
    path = partial(interpolation.path, steps=steps, loop=loop, easing=easing)
    latents = path(drawing.latents(stops), method=given.method)
    rows = drawing.rows(latents, path(drawing.conditions(stops), method="lerp"))
    seed = points.first_seed(stops)
    if form == "ndjson":
        images = frames.placed(frames.described())
        return await streaming.frames(drawing, rows, images, seed, route.request.path)
    drawn = await drawing.draw(rows, on_sheet=form == "png")
    if animation := _ANIMATIONS.get(form):
        return await responses.animated(animation, drawn, seed, given.fps, repeat=loop)

    def body(files: Sequence[bytes]) -> Interpolated:
        return frames.body(generated.with_files(frames.described(), drawn, files))

    return await responses.images(form, drawn, sheet, Shown(seed), body)


@dataclass(frozen=True)
class _Frames:
    """What JSON says about the frames of a path."""

    drawing: Drawing
    given: InterpolateBody
    stops: Points
    count: int

    @property
    def sources(self) -> list[Source]:
        """The seeds of frames at stops; None for others."""
        found: list[Source] = [None] * self.count
        seeds = [stop if isinstance(stop, int) else None for stop in self.stops]
        found[:: self.given.steps - 1] = seeds
        return found

    def options_of(self, frame: int) -> DrawOptions:
        """The options of a frame at a stop."""
        return self.drawing.options.of_image(frame // (self.given.steps - 1))

    def described(self) -> list[dict[str, Any]]:
        """See ``generated.described``."""
        base = self.drawing.context.public_url
        return generated.described(self.drawing.version, self.options_of, self.sources, base)

    def placed(self, images: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """``images`` with their positions on the path, from 0 to 1."""
        given = self.given
        positions = interpolation.positions(
            len(self.stops), given.steps, loop=given.loop, easing=given.easing
        )
        pairs = zip(positions, images, strict=True)
        return [{"position": position, **image} for position, image in pairs]

    def body(self, images: Sequence[dict[str, Any]]) -> Interpolated:
        """The response with these ``images``."""
        seeds = [stop for stop in self.stops if isinstance(stop, int)]
        card = self.drawing.version.card
        return Interpolated(
            model=card.name,
            version=card.version,
            method=self.given.method,
            seeds=seeds if len(seeds) == len(self.stops) else None,
            loop=self.given.loop,
            easing=self.given.easing,
            frames=[Frame(**image) for image in self.placed(images)],
        )


def _choice(given: InterpolateBody, version: ModelVersion, stops: Points) -> Choice:
    """The classes or attributes at the stops of the path.

    Raises ParameterError if parameters contradict each other, or if the version does not have them.
    """
    ends = _ends(given)
    if not ends:
        return version.choice(given.mixtures, given.amounts, len(stops))
    version.choice((), given.amounts)
    return chosen_conditions.ends(version.card, version.conditions(stops), ends)


def _ends(given: InterpolateBody) -> dict[str, Mixture]:
    """The classes of the first and the last frame. Raises ParameterError as ``_choice``."""
    ends = {"from_class": given.from_class, "to_class": given.to_class}
    named = {name: mixture for name, mixture in ends.items() if mixture is not None}
    others = {"class": given.classes, "seeds": given.seeds, "points": given.points}
    for name, value in others.items():
        if value is not None:
            require_absent(name, {end: choices.mixture_text(one) for end, one in named.items()})
    return named


def _stops(given: InterpolateBody) -> tuple[Points, dict[str, object]]:
    """The stops of the path, and the parameter that determines their number.

    Raises ParameterError if they are ambiguous or incomplete.
    """
    ends = {"from": given.start, "to": given.end}
    if given.points is not None:
        require_absent("points", {**ends, "seeds": given.seeds})
        return given.points, {"points": len(given.points)}
    if given.seeds is not None:
        require_absent("seeds", ends)
        return given.seeds, {"seeds": ",".join(map(str, given.seeds))}
    allowed = f"an integer from 0 to {SEEDS - 1}, or seeds given instead of from and to"
    missing = [name for name, seed in ends.items() if seed is None]
    if missing:
        raise parameter_error(*(invalid(name, "query", None, allowed) for name in missing))
    return [seed for seed in ends.values() if seed is not None], {}
