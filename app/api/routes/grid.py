"""``GET /grid``: a sheet of images."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response

from app.api import openapi, responses
from app.api.content_negotiation import PNG, choose
from app.api.dependencies import KeyRoute
from app.api.drawing import Drawing, Route, require_absent
from app.api.parameters import GridQuery
from app.api.raw_response import permanent
from app.errors import invalid, parameter_error
from app.latent import interpolation
from app.latent.choices import ChosenClasses
from app.latent.sampling import consecutive, random_seed
from app.registry.model_version import ModelVersion
from app.runtime.arrays import GraphInputs

router = APIRouter(tags=["images"], route_class=KeyRoute)


@router.get(
    "/grid",
    response_class=Response,
    responses=openapi.images([PNG], "The sheet"),
)
async def grid(query: Annotated[GridQuery, Query()], route: Route) -> Response:
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
    choose(route.accept, (PNG,))
    corners = _corners(query)
    version = route.find(query.model, query.version)
    rows = _row_count(query, version)
    count = rows * query.cols
    route.check_count(count, rows=query.rows, cols=query.cols)
    choice = version.choice(query.mixtures, query.amounts, len(corners or range(count)))
    options = query.options(version.edit(query.strengths), choice)
    sheet = query.sheet(query.cols)
    requested = {"rows": query.rows, "cols": query.cols, **query.size_parameters}
    drawing = route.drawing(version, options, sheet, count, **requested)
    if corners is not None:
        first, inputs = corners[0], _plane(drawing, corners, rows, query.cols)
    else:
        first = random_seed() if query.seed is None else query.seed
        inputs = _inputs(drawing, query, first, count)
    drawn = await drawing.draw(inputs, PNG)
    mixed = corners is not None or isinstance(query.rows, str)
    named = query.version is not None and (corners is not None or query.seed is not None)
    cached = permanent(private=route.request.needs_key) if named else ()
    return await responses.png(sheet, drawn, first, *cached, mixed=mixed)


def _plane(drawing: Drawing, corners: list[int], rows: int, cols: int) -> GraphInputs:
    """The inputs for the plane between four seeds."""
    method = interpolation.METHOD_BY_PRIOR[drawing.version.card.latent.prior]
    latents = interpolation.plane(drawing.latents(corners), rows, cols, method)
    conditions = interpolation.plane(drawing.conditions(corners), rows, cols, "lerp")
    return drawing.rows(latents, conditions)


def _inputs(drawing: Drawing, query: GridQuery, first: int, count: int) -> GraphInputs:
    """The inputs for consecutive seeds: one for each image, or one for each column."""
    sampler, choice = drawing.version.card.sampler, drawing.options.choice
    if isinstance(query.rows, int) or sampler is None:
        seeds = consecutive(first, count)
        return drawing.rows(drawing.latents(seeds), drawing.conditions(seeds))
    seeds = consecutive(first, query.cols)
    if isinstance(choice, ChosenClasses):
        conditions = choice.conditions.repeat(query.cols, axis=0)
    else:
        conditions = sampler.each(drawing.conditions(seeds))
    latents = np.tile(drawing.latents(seeds), (count // query.cols, 1))
    return drawing.rows(latents, conditions)


def _row_count(query: GridQuery, version: ModelVersion) -> int:
    """The number of rows. Raises ParameterError if the version has no such classes."""
    if isinstance(query.rows, int):
        return query.rows
    require_absent(f"rows={query.rows}", {"corners": query.corners})
    sampler = version.card.sampler
    if sampler is None or sampler.plural != query.rows:
        allowed = f"an integer from 1 to 256, as {version.key} has no {query.rows} to choose"
        raise parameter_error(invalid("rows", "query", query.rows, allowed))
    return len(query.mixtures) or len(sampler.names)


def _corners(query: GridQuery) -> list[int] | None:
    """The corners, if any. Raises ParameterError if other parameters contradict them."""
    if query.corners is None or isinstance(query.rows, str):
        return None
    require_absent("corners", {"seed": query.seed})
    allowed = "an integer from 2 to 256 where corners is given"
    short = {name: n for name, n in (("rows", query.rows), ("cols", query.cols)) if n < 2}
    if short:
        raise parameter_error(*(invalid(name, "query", n, allowed) for name, n in short.items()))
    return query.corners
