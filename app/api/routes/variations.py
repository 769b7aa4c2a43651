"""``GET /variations``: a seed's image amid its neighbours."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import openapi, responses
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.dependencies import Accept, ImageLimit, InService
from app.api.parameters import VariationsQuery
from app.api.schemas import Surroundings
from app.latent.arithmetic import Neighbourhood

router = APIRouter(tags=["images"])

_OFFERED = (PNG, JSON, ZIP)


@router.get(
    "/variations",
    response_model=Surroundings,
    responses=openapi.pictures(_OFFERED, "The images: a sheet, JSON, or a ZIP of PNGs"),
)
async def variations(
    query: Annotated[VariationsQuery, Query()],
    catalog: InService,
    accept: Accept,
    limit: ImageLimit,
) -> Response:
    """Draw the image of `seed` in the middle of `rows` × `cols`, and its neighbours around it.

    A neighbour's latent is the seed's plus uniform noise from `-radius` to `radius`, the same for
    ever. Where a side is even, the image is just above, or left of, the middle.
    """
    media_type = choose(accept, _OFFERED)
    layout = Neighbourhood(query.seed, query.radius, query.rows, query.cols)
    limit.check(layout.count, rows=query.rows, cols=query.cols)
    found = catalog.find(query.model, query.version)
    served = found.editing(query.strengths, query.look)
    sheet = query.sheet(query.cols)
    limit.check_size(served, sheet, layout.count, rows=query.rows, cols=query.cols, **query.told)
    (centre,) = served.latents([query.seed])
    drawn = await served.draw(layout.latents_around(centre))
    return await responses.neighbourhood(media_type, drawn, layout, sheet)
