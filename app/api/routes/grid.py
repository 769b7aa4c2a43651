"""``GET`` and ``POST /grid``: a sheet of images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request, Response

from app.api import direct_route, openapi, points, responses
from app.api.bodies import GridBody
from app.api.content_negotiation import PNG, choose
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import Drawing, RouteContext, require_absent, route_context
from app.api.parameters import RANDOM, GridQuery, start
from app.api.raw_response import Headers, permanent
from app.errors import BodyTooLargeError, invalid, parameter_error
from app.latent import interpolation
from app.latent.choices import ChosenClasses
from app.latent.sampling import Points, consecutive
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

router = APIRouter(tags=["images"], route_class=DirectKeyRoute)

_SHEET = openapi.images([PNG], "The sheet")
_SIDE = 4
"""Rows and columns of a sheet if the request does not say."""


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
    response_class=Response,
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

    A sheet may be cached permanently if the request names its `version` and its `seed` or
    `corners`.
    """
    query, route = direct_route.parse_query(request, GridQuery), route_context(request)
    choose(route.accept, (PNG,))
    corners = _corners(query)
    version = route.find(query.model, query.version)
    rows = _row_count(query, version)
    requested = {"rows": query.rows, "cols": query.cols}
    route.check_count(rows * query.cols, **requested)
    if corners is not None:
        layout = _Layout(corners, rows, query.cols, requested, plane=True)
    else:
        each = isinstance(query.rows, str)
        seeds = consecutive(
            start(query.seed),
            query.cols if each else rows * query.cols,
        )
        layout = _Layout(seeds, rows, query.cols, requested, each=each, mixed=each)
    named = query.version is not None and (corners is not None or query.seed not in (None, RANDOM))
    cached = permanent(private=route.request.needs_key) if named else ()
    return await _sheet(query, layout, version, route, cached)


@router.post(
    "/grid",
    response_class=Response,
    responses={**_SHEET, **openapi.problems(BodyTooLargeError)},
    openapi_extra=direct_route.body_description(GridBody),
)
async def grid_of_points(request: Request) -> Response:
    """Generate a sheet of `points`, each of which is a seed or a latent.

    They are shown row by row, in `cols` columns. With `rows=classes` or `rows=attributes`, every
    point has a column, and every row has a class or an attribute. With `corners` instead, four
    points are blended as by `GET`.
    """
    body = await direct_route.require_body(request, GridBody)
    route = route_context(request)
    choose(route.accept, (PNG,))
    version = route.find(body.model, body.version, "body")
    layout = _layout(body, version)
    route.check_count(_count(layout), "body", **layout.requested)
    return await _sheet(body, layout, version, route)


async def _sheet(
    query: GridQuery | GridBody,
    layout: _Layout,
    version: ModelVersion,
    route: RouteContext,
    headers: Headers = (),
) -> Response:
    place, count = query.place, _count(layout)
    choice = version.choice(
        query.mixtures, query.amounts, 4 if layout.plane else layout.rows * layout.cols, place
    )
    options = query.options(version.edit(query.strengths, place), choice)
    sheet = query.sheet(layout.cols)
    requested = {**layout.requested, **query.size_parameters}
    drawing = route.drawing(version, options, sheet, count, place, **requested)
    inputs = _plane(drawing, layout) if layout.plane else _inputs(drawing, layout)
    drawn = await drawing.draw(inputs, PNG)
    seed = points.first_seed(layout.points)
    return await responses.png(sheet, drawn, seed, *headers, mixed=layout.mixed)


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


def _inputs(drawing: Drawing, layout: _Layout) -> GraphInputs:
    """The inputs for points: one for each image, or one for each column."""
    sampler, choice = drawing.version.card.sampler, drawing.options.choice
    latents = drawing.latents(layout.points)
    if not layout.each or sampler is None:
        return drawing.rows(latents, drawing.conditions(layout.points))
    if isinstance(choice, ChosenClasses):
        conditions = choice.conditions.repeat(layout.cols, axis=0)
    else:
        conditions = sampler.each(drawing.conditions(layout.points))
    return drawing.rows(np.tile(latents, (layout.rows, 1)), conditions)


def _layout(body: GridBody, version: ModelVersion) -> _Layout:
    """What the body asks for. Raises ParameterError if its parameters contradict each other."""
    if body.points is None:
        if body.corners is None or isinstance(body.rows, str):
            allowed = "a list of 1 to 256 points, or corners given instead of points"
            raise parameter_error(invalid("points", "body", None, allowed))
        rows, cols = body.rows or _SIDE, body.cols or _SIDE
        _check_plane(rows, cols, "body")
        points.check_width(version, points.named("corners", body.corners))
        return _Layout(body.corners, rows, cols, {"rows": rows, "cols": cols}, plane=True)
    require_absent("points", {"corners": body.corners}, "body")
    points.check_width(version, points.named("points", body.points))
    shown = {"points": len(body.points)}
    if isinstance(body.rows, str):
        require_absent(f"rows={body.rows}", {"cols": body.cols}, "body")
        rows, cols = _each_count(body, body.rows, version), len(body.points)
        return _Layout(body.points, rows, cols, {"rows": body.rows, **shown}, each=True)
    require_absent("points", {"rows": body.rows}, "body")
    cols = body.cols or _SIDE
    return _Layout(body.points, -(-len(body.points) // cols), cols, shown)


def _row_count(query: GridQuery, version: ModelVersion) -> int:
    """The number of rows. Raises ParameterError if the version has no such classes."""
    if isinstance(query.rows, int):
        return query.rows
    require_absent(f"rows={query.rows}", {"corners": query.corners})
    return _each_count(query, query.rows, version)


def _each_count(query: GridQuery | GridBody, rows: str, version: ModelVersion) -> int:
    """The number of classes or attributes. Raises ParameterError if the version has no such."""
    sampler = version.card.sampler
    if sampler is None or sampler.plural != rows:
        allowed = f"an integer from 1 to 256, as {version.key} has no {rows} to choose"
        raise parameter_error(invalid("rows", query.place, rows, allowed))
    return len(query.mixtures) or len(sampler.names)


def _corners(query: GridQuery) -> list[int] | None:
    """The corners, if any. Raises ParameterError if other parameters contradict them."""
    if query.corners is None or isinstance(query.rows, str):
        return None
    require_absent("corners", {"seed": query.seed})
    _check_plane(query.rows, query.cols, query.place)
    return query.corners


def _check_plane(rows: int, cols: int, place: str) -> None:
    """Raise ParameterError unless a plane has at least two rows and columns."""
    allowed = "an integer from 2 to 256 where corners is given"
    short = {name: n for name, n in (("rows", rows), ("cols", cols)) if n < 2}
    if short:
        raise parameter_error(*(invalid(name, place, n, allowed) for name, n in short.items()))
