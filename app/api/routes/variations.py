"""``GET`` and ``POST /variations``: the image of a point, with its neighbours."""

from fastapi import APIRouter, Request, Response

from app.api import direct_route, openapi, points, responses
from app.api.bodies import VariationsBody
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import RouteContext, route_context
from app.api.parameters import VariationsQuery, start
from app.api.schemas import Neighbours
from app.errors import BodyTooLargeError
from app.latent.arithmetic import Neighbourhood
from app.latent.sampling import Point

router = APIRouter(tags=["images"], route_class=DirectKeyRoute)

_OFFERED = (PNG, JSON, ZIP)
_IMAGES = openapi.images(_OFFERED, "The images: a sheet, JSON, or a ZIP of PNGs")


@router.get(
    "/variations",
    response_model=Neighbours,
    responses=_IMAGES,
    openapi_extra=direct_route.description(VariationsQuery),
)
async def variations(request: Request) -> Response:
    """Generate the image of `seed` in the centre of a sheet, with its neighbours around it.

    A neighbour's latent is the seed's latent plus uniform noise from `-radius` to `radius`, which
    depends on the seed alone. If a side is even, the image is just above, or left of, the centre.
    A seed of -1 stands for a random one, which `X-Seed` names.
    """
    query = direct_route.parse_query(request, VariationsQuery)
    return await _neighbourhood(query, start(query.seed), route_context(request))


@router.post(
    "/variations",
    response_model=Neighbours,
    responses={**_IMAGES, **openapi.problems(BodyTooLargeError)},
    openapi_extra=direct_route.body_description(VariationsBody),
)
async def variations_of_point(request: Request) -> Response:
    """Generate the image of `point`, a seed or a latent, with its neighbours around it.

    The body has the parameters of `GET`, and `point` in place of `seed`. The noise around a latent
    is that of seed 0.
    """
    body = await direct_route.require_body(request, VariationsBody)
    return await _neighbourhood(body, body.point, route_context(request))


async def _neighbourhood(
    query: VariationsQuery | VariationsBody, point: Point, route: RouteContext
) -> Response:
    media_type, place = choose(route.accept, _OFFERED), query.place
    seed = points.first_seed([point])
    layout = Neighbourhood(seed or 0, query.radius, query.rows, query.cols)
    route.check_count(layout.count, place, rows=query.rows, cols=query.cols)
    version = route.find(query.model, query.version, place)
    points.check_width(version, {"point": point})
    choice = version.choice(query.mixtures, query.amounts, layout.count, place)
    options = query.options(version.edit(query.strengths, place), choice)
    sheet = query.sheet(query.cols)
    requested = {"rows": query.rows, "cols": query.cols, **query.size_parameters}
    drawing = route.drawing(version, options, sheet, layout.count, place, **requested)
    (centre,) = drawing.latents([point])
    conditions = drawing.conditions([point] * layout.count)
    rows = drawing.rows(layout.latents_around(centre), conditions)
    drawn = await drawing.draw(rows, media_type)
    return await responses.neighbourhood(media_type, drawn, layout, sheet, seed)
