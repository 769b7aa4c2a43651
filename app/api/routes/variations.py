"""``GET`` and ``POST /variations``: the image of a point, with its neighbours."""

from typing import Any, ClassVar

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.api import direct_route, merging, neighbourhood, openapi, points
from app.api.bodies import EditBody
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import DRAWING_ERRORS, RouteContext, require_absent
from app.api.endpoints import Access, Endpoints
from app.api.formats import VARIATIONS, SeedFormat
from app.api.neighbourhood import Surrounded
from app.api.parameters import (
    FORMAT,
    RANDOM_SEED,
    URLS,
    ClassesQuery,
    Count,
    EditQuery,
    ModelQuery,
    Radius,
    SheetQuery,
    StartSeed,
    start,
)
from app.api.points import PointBody
from app.api.schemas import Neighbours
from app.errors import BodyTooLargeError
from app.latent.arithmetic import Neighbourhood
from app.latent.sampling import Point

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=points.TRAITS,
)
router = ENDPOINTS.router

_IMAGES = openapi.formats(VARIATIONS, "The images: one sheet, JSON, or a ZIP of PNG files")


class NeighbourhoodQuery(SheetQuery):
    """A sheet of neighbours."""

    format: SeedFormat | None = Field(None, description=f"{FORMAT}, else PNG; {URLS}")
    radius: Radius = 0.25
    rows: Count = Field(3, description="rows; rows × cols is at most 256")
    cols: Count = Field(3, description="columns")
    seed: StartSeed | None = Field(None, description=f"seed of the centre image; {RANDOM_SEED}")


class VariationsQuery(NeighbourhoodQuery, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``/variations``."""


class VariationsBody(NeighbourhoodQuery, EditBody, ModelQuery):
    """The parameters of ``/variations`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"point": 42, "radius": 0.5}

    point: PointBody | None = Field(
        None, description="seed or latent of the centre image, instead of `seed`", examples=[42]
    )


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
    Without a seed, or with -1, it is a random one, which `X-Seed` names.
    """
    return await merging.answer(request, VariationsQuery, VariationsBody, _neighbourhood)


@router.post(
    "/variations",
    response_model=Neighbours,
    responses={**_IMAGES, **openapi.problems(BodyTooLargeError)},
    openapi_extra=direct_route.description(VariationsQuery, VariationsBody),
)
async def variations_of_point(request: Request) -> Response:
    """Generate the image of `point`, a seed or a latent, with its neighbours around it.

    The parameters are those of `GET`, in the query or in the body, which may have `point` in place
    of `seed`. The noise around a latent is that of seed 0.
    """
    return await merging.answer(request, VariationsQuery, VariationsBody, _neighbourhood)


async def _neighbourhood(route: RouteContext, given: VariationsBody) -> Response:
    """The image of a point, surrounded by its neighbours."""
    form, point = VARIATIONS.chosen(given.format, route.accept), _point(given)
    seed = points.first_seed([point])
    layout = Neighbourhood(seed or 0, given.radius, given.rows, given.cols)
    route.check_count(layout.count, rows=given.rows, cols=given.cols)
    version = route.find(given.model, given.version)
    points.check_width(version, {"point": point})
    choice = version.choice(given.mixtures, given.amounts, layout.count)
    options = given.options(version.edit(given.strengths), choice)
    sheet = given.sheet(given.cols)
    requested = {"rows": given.rows, "cols": given.cols, **given.size_parameters}
    drawing = route.drawing(version, options, sheet, layout.count, **requested)
    (centre,) = drawing.latents([point])
    conditions = drawing.conditions([point] * layout.count)
    rows = drawing.rows(layout.latents_around(centre), conditions)
    shown = Surrounded(layout, sheet, seed, centre=seed)
    return await neighbourhood.response(form, drawing, rows, shown)


def _point(given: VariationsBody) -> Point:
    """The point in the centre. Raises ParameterError if there are two."""
    if given.point is None:
        return start(given.seed)
    require_absent("point", {"seed": given.seed})
    return given.point
