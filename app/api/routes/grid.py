"""``GET /grid``: a sheet of images."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import openapi, responses
from app.api.content_negotiation import PNG, choose
from app.api.dependencies import Accept, ImageLimit, InService, exclusive
from app.api.parameters import GridQuery
from app.errors import offence, refusal
from app.latent import interpolation
from app.latent.sampling import SEEDS, consecutive

router = APIRouter(tags=["images"])


@router.get(
    "/grid",
    response_class=Response,
    responses=openapi.pictures([PNG], "The sheet"),
)
async def grid(
    query: Annotated[GridQuery, Query()], catalog: InService, accept: Accept, limit: ImageLimit
) -> Response:
    """Draw a sheet of `rows` × `cols` images, of the seeds `seed`, `seed + 1`, … row by row.

    With `corners` it is the plane between four seeds, which are in its corners: along great arcs
    where the model's latents are normal, bilinear where they are uniform.
    """
    choose(accept, (PNG,))
    corners = _corners(query)
    count = query.rows * query.cols
    limit.check(count, rows=query.rows, cols=query.cols)
    found = catalog.find(query.model, query.version)
    served = found.editing(query.strengths, query.look)
    sheet = query.sheet(query.cols)
    limit.check_size(served, sheet, count, rows=query.rows, cols=query.cols, **query.told)
    if corners is None:
        first = secrets.randbelow(SEEDS) if query.seed is None else query.seed
        rows = served.latents(consecutive(first, count))
    else:
        first, method = corners[0], interpolation.METHOD_BY_PRIOR[served.card.latent.prior]
        rows = interpolation.plane(served.latents(corners), query.rows, query.cols, method)
    drawn = await served.draw(rows)
    return await responses.png(sheet, drawn, first, mixed=corners is not None)


def _corners(query: GridQuery) -> list[int] | None:
    """The corners, if any. Raises ParameterError where the rest of the query denies them."""
    if query.corners is None:
        return None
    exclusive("corners", {"seed": query.seed})
    allowed = "an integer from 2 to 256 where corners is given"
    short = {name: n for name, n in (("rows", query.rows), ("cols", query.cols)) if n < 2}
    if short:
        raise refusal(*(offence(name, "query", n, allowed) for name, n in short.items()))
    return query.corners
