"""``GET /grid``: a sheet of images."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app import images, openapi, responses
from app.deps import Accept, ImageLimit, InService
from app.latents import SEEDS, consecutive
from app.negotiation import PNG, choose
from app.schemas import GridQuery

router = APIRouter(tags=["images"])


@router.get(
    "/grid",
    response_class=Response,
    responses=openapi.pictures([PNG], "The sheet"),
)
async def grid(
    query: Annotated[GridQuery, Query()], catalog: InService, accept: Accept, limit: ImageLimit
) -> Response:
    """Draw a sheet of `rows` × `cols` images, of the seeds `seed`, `seed + 1`, … row by row."""
    choose(accept, [PNG])
    count = query.rows * query.cols
    limit.check(count, rows=query.rows, cols=query.cols)
    served = catalog.find(query.model, query.version)
    first = secrets.randbelow(SEEDS) if query.seed is None else query.seed
    pixels = await served.draw(served.latents(consecutive(first, count)))
    return await responses.png(images.sheet(pixels, query.cols), served, first)
