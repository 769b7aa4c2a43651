"""``GET /variations``: the image of a seed, with its neighbours."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import openapi, responses
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.dependencies import KeyRoute
from app.api.drawing import Route
from app.api.parameters import VariationsQuery
from app.api.schemas import Neighbours
from app.latent.arithmetic import Neighbourhood

router = APIRouter(tags=["images"], route_class=KeyRoute)

_OFFERED = (PNG, JSON, ZIP)


@router.get(
    "/variations",
    response_model=Neighbours,
    responses=openapi.images(_OFFERED, "The images: a sheet, JSON, or a ZIP of PNGs"),
)
async def variations(query: Annotated[VariationsQuery, Query()], route: Route) -> Response:
    """Generate the image of `seed` in the centre of a sheet, with its neighbours around it.

    A neighbour's latent is the seed's latent plus uniform noise from `-radius` to `radius`, which
    depends on the seed alone. If a side is even, the image is just above, or left of, the centre.
    """
    media_type = choose(route.accept, _OFFERED)
    layout = Neighbourhood(query.seed, query.radius, query.rows, query.cols)
    route.check_count(layout.count, rows=query.rows, cols=query.cols)
    version = route.find(query.model, query.version)
    choice = version.choice(query.mixtures, query.amounts, layout.count)
    options = query.options(version.edit(query.strengths), choice)
    sheet = query.sheet(query.cols)
    requested = {"rows": query.rows, "cols": query.cols, **query.size_parameters}
    drawing = route.drawing(version, options, sheet, layout.count, **requested)
    (centre,) = drawing.latents([query.seed])
    conditions = drawing.conditions([query.seed] * layout.count)
    rows = drawing.rows(layout.latents_around(centre), conditions)
    drawn = await drawing.draw(rows, media_type)
    return await responses.neighbourhood(media_type, drawn, layout, sheet)
