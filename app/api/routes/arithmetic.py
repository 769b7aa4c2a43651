"""``POST /arithmetic``: the image of a sum of latents, amid its neighbours."""

import math
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.api import openapi, responses
from app.api.content_negotiation import JSON, PNG, ZIP, choose
from app.api.dependencies import Accept, ImageLimit, InService
from app.api.parameters import ArithmeticBody, ArithmeticQuery
from app.api.schemas import Surroundings
from app.errors import TooLargeError
from app.latent.arithmetic import Neighbourhood, sum_of_means

router = APIRouter(tags=["images"])

_OFFERED = (PNG, JSON, ZIP)


@router.post(
    "/arithmetic",
    response_model=Surroundings,
    responses={
        **openapi.pictures(_OFFERED, "The images: a sheet, JSON, or a ZIP of PNGs"),
        **openapi.problems(TooLargeError),
    },
)
async def arithmetic(
    body: ArithmeticBody,
    _: Annotated[ArithmeticQuery, Query()],
    catalog: InService,
    accept: Accept,
    limit: ImageLimit,
) -> Response:
    """Add the mean latents of the seeds in `plus`, take away those in `minus`, draw the result.

    It is in the middle of a square sheet of `neighbours` images; around it is the same with uniform
    noise from `-radius` to `radius`, that of the very first seed in `plus`, the same for ever.
    So smiling woman - woman + man is `"plus": [[…], […]], "minus": [[…]]` of three seeds each.
    """
    media_type = choose(accept, _OFFERED)
    limit.check(body.neighbours, "body", neighbours=body.neighbours)
    found = catalog.find(body.model, body.version, "body")
    served = found.editing(body.edit, body.look, "body")
    plus, minus = (map(served.latents, groups) for groups in (body.plus, body.minus))
    side = math.isqrt(body.neighbours)
    layout = Neighbourhood(body.plus[0][0], body.radius, side, side)
    sheet = body.sheet(side)
    asked = {"neighbours": body.neighbours, **body.told}
    limit.check_size(served, sheet, layout.count, "body", **asked)
    drawn = await served.draw(layout.latents_around(sum_of_means(plus, minus)))
    return await responses.neighbourhood(media_type, drawn, layout, sheet)
