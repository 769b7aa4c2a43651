"""``GET /grid``: a sheet of images."""

import secrets
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import openapi, responses
from app.api.content_negotiation import PNG, choose
from app.api.dependencies import KeyRoute
from app.api.drawing import Route, require_absent
from app.api.parameters import GridQuery
from app.errors import invalid, parameter_error
from app.latent import interpolation
from app.latent.sampling import SEEDS, consecutive

router = APIRouter(tags=["images"], route_class=KeyRoute)


@router.get(
    "/grid",
    response_class=Response,
    responses=openapi.images([PNG], "The sheet"),
)
async def grid(query: Annotated[GridQuery, Query()], route: Route) -> Response:
    """Generate a sheet of `rows` × `cols` images from consecutive seeds, row by row.

    With `corners`, blend four seeds, which are in the corners of the sheet: by spherical
    interpolation if the model's latents are normal, bilinearly if they are uniform.
    """
    choose(route.accept, (PNG,))
    corners = _corners(query)
    count = query.rows * query.cols
    route.check_count(count, rows=query.rows, cols=query.cols)
    version = route.find(query.model, query.version)
    options = query.options(version.edit(query.strengths))
    sheet = query.sheet(query.cols)
    requested = {"rows": query.rows, "cols": query.cols, **query.size_parameters}
    drawing = route.drawing(version, options, sheet, count, **requested)
    if corners is None:
        first = secrets.randbelow(SEEDS) if query.seed is None else query.seed
        seeds = consecutive(first, count)
        latents, conditions = drawing.latents(seeds), drawing.conditions(seeds)
    else:
        first, method = corners[0], interpolation.METHOD_BY_PRIOR[version.card.latent.prior]
        plane = partial(interpolation.plane, rows=query.rows, cols=query.cols)
        latents = plane(drawing.latents(corners), method=method)
        conditions = plane(drawing.conditions(corners), method="lerp")
    drawn = await drawing.draw(drawing.rows(latents, conditions), PNG)
    return await responses.png(sheet, drawn, first, mixed=corners is not None)


def _corners(query: GridQuery) -> list[int] | None:
    """The corners, if any. Raises ParameterError if other parameters contradict them."""
    if query.corners is None:
        return None
    require_absent("corners", {"seed": query.seed})
    allowed = "an integer from 2 to 256 where corners is given"
    short = {name: n for name, n in (("rows", query.rows), ("cols", query.cols)) if n < 2}
    if short:
        raise parameter_error(*(invalid(name, "query", n, allowed) for name, n in short.items()))
    return query.corners
