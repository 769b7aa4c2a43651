"""``POST /arithmetic``: the image of a sum of latents, with its neighbours."""

import math
from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BeforeValidator, Field

from app.api import direct_route, merging, neighbourhood, openapi, points
from app.api.bodies import EditBody
from app.api.direct_route import DirectKeyRoute
from app.api.drawing import DRAWING_ERRORS, RouteContext
from app.api.endpoints import Access, Endpoints
from app.api.formats import SUM, SheetFormat
from app.api.neighbourhood import Surrounded
from app.api.numbers import decimal
from app.api.parameters import FORMAT, ClassesQuery, EditQuery, ModelQuery, Radius, SheetQuery
from app.api.points import PointBody
from app.api.schemas import Neighbours
from app.errors import BodyTooLargeError
from app.latent.arithmetic import Neighbourhood, sum_of_means
from app.middleware.endpoint_traits import EndpointTraits

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=EndpointTraits(latents=points.MAX_ROWS, pays="first"),
)
router = ENDPOINTS.router

_ODD_SQUARES = [side**2 for side in range(1, 16, 2)]


def _odd_square(count: int) -> int:
    if count not in _ODD_SQUARES:
        raise ValueError("only a square sheet with an odd side has a centre")
    return count


_OddSquare = Annotated[
    int,  # not a Literal, which would accept true for 1
    AfterValidator(_odd_square),
    Field(json_schema_extra={"enum": [*_ODD_SQUARES]}),
    BeforeValidator(decimal),
]
_Group = Annotated[list[PointBody], Field(min_length=1, max_length=16)]


class SumQuery(SheetQuery):
    """A square sheet around a sum."""

    format: SheetFormat | None = Field(None, description=f"{FORMAT}, else PNG")
    neighbours: _OddSquare = Field(
        9, description="images on a square sheet, including the result in its centre"
    )
    radius: Radius = 0.25


class ArithmeticQuery(SumQuery, ClassesQuery, EditQuery, ModelQuery):
    """Query of ``POST /arithmetic``."""


class ArithmeticBody(SumQuery, EditBody, ModelQuery):
    """The parameters of ``POST /arithmetic`` in JSON."""

    example: ClassVar[dict[str, Any]] = {"plus": [[3, 4, 5], [6, 7, 8]], "minus": [[0, 1, 2]]}

    plus: list[_Group] = Field(
        min_length=1,
        max_length=8,
        description="groups of seeds or latents; the mean of each group is added",
        examples=[[[3, 4, 5], [6, 7, 8]]],
    )
    minus: list[_Group] = Field(
        [],
        max_length=8,
        description="groups of seeds or latents; the mean of each group is subtracted",
        examples=[[[0, 1, 2]]],
    )


@router.post(
    "/arithmetic",
    response_model=Neighbours,
    responses={
        **openapi.formats(SUM, "The images: one sheet, JSON, or a ZIP of PNG files"),
        **openapi.problems(BodyTooLargeError),
    },
    openapi_extra=direct_route.description(ArithmeticQuery, ArithmeticBody),
)
async def arithmetic(request: Request) -> Response:
    """Add the mean latent of each group in `plus`, subtract those in `minus`, show the result.

    The result is the centre of a square sheet of `neighbours` images. The others differ from it by
    uniform noise from `-radius` to `radius`, which depends on the first seed in `plus` alone. For
    example, smiling woman - woman + man is `"plus": [[…], […]], "minus": [[…]]` with three seeds
    in each group. A latent may stand in place of each seed; without any seed in `plus`, the noise
    is that of seed 0. Everything but `plus` and `minus` may be in the query, too.
    """
    return await merging.answer(request, ArithmeticQuery, ArithmeticBody, _sum)


async def _sum(route: RouteContext, given: ArithmeticBody) -> Response:
    """The image of the sum, with its neighbours."""
    form = SUM.chosen(given.format, route.accept)
    route.check_count(given.neighbours, neighbours=given.neighbours)
    version = route.find(given.model, given.version)
    for name, groups in (("plus", given.plus), ("minus", given.minus)):
        for k, group in enumerate(groups):
            points.check_width(version, points.named(f"{name}.{k}", group))
    choice = version.choice(given.mixtures, given.amounts, given.neighbours)
    options = given.options(version.edit(given.strengths), choice)
    side = math.isqrt(given.neighbours)
    seed = points.first_seed([point for group in given.plus for point in group])
    layout = Neighbourhood(seed or 0, given.radius, side, side)
    sheet, requested = given.sheet(side), {"neighbours": given.neighbours, **given.size_parameters}
    drawing = route.drawing(version, options, sheet, layout.count, **requested)
    plus, minus = (map(drawing.latents, groups) for groups in (given.plus, given.minus))
    latents = layout.latents_around(sum_of_means(plus, minus))
    conditions = version.sum_of_conditions(given.plus, given.minus).repeat(layout.count, axis=0)
    rows = drawing.rows(latents, choice(conditions))
    shown = Surrounded(layout, sheet, seed, centre=None)
    return await neighbourhood.response(form, drawing, rows, shown)
