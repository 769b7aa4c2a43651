"""``GET`` and ``POST /grid``: a sheet of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field

from app.api import direct_route, generated, merging, openapi, points, responses
from app.api.bodies import EditBody
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import DRAWING_ERRORS, Drawing, RouteContext, require_absent
from app.api.endpoints import Access, Endpoints
from app.api.formats import GRID, SeedFormat
from app.api.generated import Source
from app.api.parameters import (
    FORMAT,
    RANDOM,
    RANDOM_SEED,
    URLS,
    ClassesQuery,
    Count,
    EditQuery,
    ModelQuery,
    Seed,
    Seeds,
    SheetQuery,
    StartSeed,
    start,
)
from app.api.points import PointBody
from app.api.query_lists import split
from app.api.raw_response import Headers, permanent
from app.api.responses import Shown
from app.api.schemas import Generated
from app.errors import BodyTooLargeError, invalid, json_safe, parameter_error
from app.latent import choices, interpolation
from app.latent.sampling import Points, consecutive
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=points.TRAITS,
)
router = ENDPOINTS.router

_SHEET = openapi.formats(GRID, "The images: one sheet, JSON, or a ZIP of PNG files")
_SIDE = 4
"""Rows and columns of a sheet if the request does not say."""

_SeedCorners = Annotated[
    list[Seed], Field(min_length=4, max_length=4, fail_fast=True), BeforeValidator(split)
]
_Corners = Annotated[list[PointBody], Field(min_length=4, max_length=4, fail_fast=True)]
_Images = Annotated[list[PointBody], Field(min_length=1, max_length=256, fail_fast=True)]


class GridSeeds(SheetQuery):
    """Rows and columns of seeds."""

    format: SeedFormat | None = Field(None, description=f"{FORMAT}, else PNG; {URLS}")
    rows: Count | Literal["classes", "attributes"] | None = Field(
        None,
        description="rows; rows × cols is at most 256; default: 4, or as many as `seeds` need; "
        "`classes` or `attributes`: one row for each, in which every image has it, and one column "
        "for each seed",
    )
    cols: Count | None = Field(None, description="columns; default: 4")
    seed: StartSeed | None = Field(
        None, description=f"the first image's seed; {RANDOM_SEED}; not with `corners` or `seeds`"
    )
    seeds: Seeds | None = Field(
        None,
        description="one seed per image, row by row, instead of `seed`",
        examples=[[3, 17, 99]],
    )


class GridQuery(GridSeeds, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``/grid``."""

    corners: _SeedCorners | None = Field(
        None,
        description="four seeds: top left, top right, bottom left, bottom right",
        examples=[[1, 2, 3, 4]],
    )


class GridBody(GridSeeds, EditBody, ModelQuery):
    """The parameters of ``/grid`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"points": [3, 17, 99, 4], "cols": 2}

    points: _Images | None = Field(
        None,
        description="the images, row by row, each a seed or a latent, instead of seeds",
        examples=[[3, 17, 99]],
    )
    corners: _Corners | None = Field(
        None,
        description="four points: top left, top right, bottom left, bottom right",
        examples=[[1, 2, 3, 4]],
    )


@dataclass(frozen=True)
class _Layout:
    """What a sheet shows."""

    points: Points
    """The images, row by row; or the corners of a plane; or one point for each column."""
    rows: int
    cols: int
    requested: Mapping[str, object]
    """The parameters that determine the number of images."""
    plane: bool = False
    each: bool = False
    """Whether every row has a class or an attribute."""
    mixed: bool = True
    """Whether the images are not those of consecutive seeds."""


@router.get(
    "/grid",
    response_model=Generated,
    responses=_SHEET,
    openapi_extra=direct_route.description(GridQuery),
)
async def grid(request: Request) -> Response:
    """Generate a sheet of `rows` × `cols` images from consecutive seeds, row by row.

    With `corners`, blend four seeds, which are in the corners of the sheet: by spherical
    interpolation if the model's latents are normal, bilinearly if they are uniform. Their classes
    or attributes are blended bilinearly.

    With `rows=classes`, every class of a conditional model has a row, or every class in `class`,
    and every column has the latent of one seed. With `rows=attributes`, every image of a row has
    one attribute.

    `format`, or else `Accept`, selects the format: `png` (the default) and `webp` are one sheet;
    `json` has every image as base64, with its seed, URL and latent as far as it has them; `urls`
    has the URLs of images of seeds alone; `zip` has one PNG file per image.

    A sheet may be cached permanently if the request names its `version` and its `seed` or
    `corners`.
    """
    return await merging.answer(request, GridQuery, GridBody, _grid)


@router.post(
    "/grid",
    response_model=Generated,
    responses={**_SHEET, **openapi.problems(BodyTooLargeError)},
    openapi_extra=direct_route.description(GridQuery, GridBody),
)
async def grid_of_points(request: Request) -> Response:
    """Generate a sheet of seeds or of `points`, each of which is a seed or a latent.

    The parameters are those of `GET`, in the query or in the body, which may have `points` in place
    of seeds, and points in `corners`. Points are shown row by row, in `cols` columns; with
    `rows=classes` or `rows=attributes`, every point has a column.
    """
    return await merging.answer(request, GridQuery, GridBody, _grid)


async def _grid(route: RouteContext, given: GridBody) -> Response:
    """The requested sheet."""
    form = GRID.chosen(given.format, route.accept)
    version = route.find(given.model, given.version)
    layout = _layout(route, given, version)
    count = _count(layout)
    route.check_count(count, **layout.requested)
    choice = version.choice(
        given.mixtures, given.amounts, 4 if layout.plane else layout.rows * layout.cols
    )
    if layout.each and version.card.sampler:
        choice = choices.in_rows(version.card.sampler, choice, layout.cols)
    options = given.options(version.edit(given.strengths), choice)
    sheet = given.sheet(layout.cols)
    requested = {**layout.requested, **given.size_parameters}
    drawing = route.drawing(version, options, sheet, count, **requested)
    shown_points = _points(layout)
    sources: Sequence[Source] = [None] * count if layout.plane else shown_points
    if form == "urls":
        return generated.urls(drawing, sources)
    inputs = _plane(drawing, layout) if layout.plane else _inputs(drawing, shown_points)
    drawn = await drawing.draw(inputs, on_sheet=form in responses.SHEETS)
    seeds = [source for source in sources if isinstance(source, int)]
    seeds = seeds if len(seeds) == count else []
    shown = Shown(points.first_seed(layout.points), seeds, consecutive=not layout.mixed)
    body = partial(generated.body, drawn, sources, route.request)
    cached = _cached(given, private=route.request.needs_key)
    return await responses.images(form, drawn, sheet, shown, body, *cached)


def _points(layout: _Layout) -> Points:
    """The seed or the latent of each image, row by row; of a plane, its corners."""
    return [*layout.points] * layout.rows if layout.each else layout.points


def _cached(given: GridBody, *, private: bool) -> Headers:
    """The header that lets caches keep a sheet, if the request names exactly what it shows.

    They do not keep responses to ``POST``.
    """
    chosen = (given.corners, given.points, given.seeds)
    seeded = any(chosen) or given.seed not in (None, RANDOM)
    exact = seeded and isinstance(given.version, int)
    return permanent(private=private) if exact else ()


def _count(layout: _Layout) -> int:
    """The number of images; the last row need not be full."""
    if layout.plane or layout.each:
        return layout.rows * layout.cols
    return len(layout.points)


def _plane(drawing: Drawing, layout: _Layout) -> GraphInputs:
    """The inputs for the plane between four points."""
    method = interpolation.METHOD_BY_PRIOR[drawing.version.card.latent.prior]
    corners, rows, cols = layout.points, layout.rows, layout.cols
    latents = interpolation.plane(drawing.latents(corners), rows, cols, method)
    conditions = interpolation.plane(drawing.conditions(corners), rows, cols, "lerp")
    return drawing.rows(latents, conditions)


def _inputs(drawing: Drawing, shown: Points) -> GraphInputs:
    """The inputs for a point for each image."""
    return drawing.rows(drawing.latents(shown), drawing.conditions(shown))


def _layout(route: RouteContext, given: GridBody, version: ModelVersion) -> _Layout:
    """What the request asks for. Raises ParameterError if its parameters contradict each other."""
    if given.corners is not None:
        return _corners(given, given.corners, version)
    listed = _listed(given, version)
    if isinstance(given.rows, str):
        return _each(given, given.rows, listed, version)
    if listed is None:
        rows, cols = given.rows or _SIDE, given.cols or _SIDE
        requested = {"rows": rows, "cols": cols}
        route.check_count(rows * cols, **requested)  # before there are that many seeds
        seeds = consecutive(start(given.seed), rows * cols)
        return _Layout(seeds, rows, cols, requested, mixed=False)
    name, shown = listed
    require_absent(name, {"rows": given.rows})
    cols = given.cols or _SIDE
    return _Layout(shown, -(-len(shown) // cols), cols, {name: len(shown)})


def _listed(given: GridBody, version: ModelVersion) -> tuple[str, Points] | None:
    """The points that the request lists, and the name of that list.

    Raises ParameterError if it has both lists, or a seed as well, or latents of another width.
    """
    if given.points is not None:
        require_absent("points", {"seeds": given.seeds, "seed": given.seed})
        points.check_width(version, points.named("points", given.points))
        return "points", given.points
    if given.seeds is not None:
        require_absent("seeds", {"seed": given.seed})
        return "seeds", given.seeds
    return None


def _each(
    given: GridBody, rows: str, listed: tuple[str, Points] | None, version: ModelVersion
) -> _Layout:
    """One row for each class or attribute. Raises ParameterError if the version has no such."""
    sampler = version.card.sampler
    if sampler is None or sampler.plural != rows:
        others = f", or {sampler.plural}" if sampler else ""
        allowed = f"an integer from 1 to 256{others}, as {version.key} has no {rows} to choose"
        raise parameter_error(invalid("rows", "query", rows, allowed))
    count = len(given.mixtures) or len(sampler.names)
    if listed is None:
        cols = given.cols or _SIDE
        shown: Points = consecutive(start(given.seed), cols)
        return _Layout(shown, count, cols, {"rows": rows, "cols": cols}, each=True)
    name, shown = listed
    if given.cols is not None:
        allowed = f"left out where rows={rows} and {name} are given: each of {name} has a column"
        raise parameter_error(invalid("cols", "query", given.cols, allowed))
    return _Layout(shown, count, len(shown), {"rows": rows, name: len(shown)}, each=True)


def _corners(given: GridBody, corners: Points, version: ModelVersion) -> _Layout:
    """A plane between four points. Raises ParameterError if other parameters contradict it."""
    if isinstance(given.rows, str):
        require_absent(f"rows={given.rows}", {"corners": json_safe(corners)})
    others = {"points": given.points, "seeds": given.seeds, "seed": given.seed}
    require_absent("corners", others)
    points.check_width(version, points.named("corners", corners))
    rows = given.rows if isinstance(given.rows, int) else _SIDE
    cols = given.cols or _SIDE
    size = {"rows": rows, "cols": cols}
    allowed = "an integer from 2 to 256 where corners is given"
    short = [invalid(name, "query", side, allowed) for name, side in size.items() if side < 2]
    if short:
        raise parameter_error(*short)
    return _Layout(corners, rows, cols, size, plane=True)
