"""``POST /generate``: many images at once."""

import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Response

from app import openapi, responses
from app.deps import Accept, ImageLimit, InService
from app.errors import TooLargeError
from app.images import square
from app.latents import SEEDS, consecutive
from app.negotiation import JSON, PNG, ZIP, choose
from app.requests import EditBody, GenerateQuery
from app.routes.images import url
from app.schemas import Generated, GeneratedImage
from app.served import Drawn

router = APIRouter(tags=["images"])

_OFFERED = (JSON, PNG, ZIP)


@router.post(
    "/generate",
    response_model=Generated,
    responses={
        **openapi.pictures(_OFFERED, "The images: JSON, one PNG, or a ZIP of PNGs"),
        **openapi.problems(TooLargeError),
    },
)
async def generate(
    query: Annotated[GenerateQuery, Query()],
    catalog: InService,
    accept: Accept,
    limit: ImageLimit,
    body: EditBody | None = None,
) -> Response:
    """Draw `n` images of the seeds `seed`, `seed + 1`, … (modulo 2³²), or of a random seed on.

    `Accept: application/json` (the default) answers every image as base64 with its seed and URL;
    `image/png` the image itself, or a sheet of them; `application/zip` one `<seed>.png` each.
    The header `X-Seed` tells the first seed. With `edit` in the body all are given attributes, or
    lose them, out of those that the model has, see `/models`.
    """
    media_type = choose(accept, _OFFERED)
    limit.check(query.n, n=query.n)
    strengths = body.edit if body else {}
    found = catalog.find(query.model, query.version)
    served = found.editing(strengths, query.look, "body")
    sheet = query.sheet(query.columns or square(query.n))
    limit.check_size(served, sheet, query.n, n=query.n, **query.told)
    first = secrets.randbelow(SEEDS) if query.seed is None else query.seed
    seeds = consecutive(first, query.n)
    drawn = await served.draw(served.latents(seeds))
    if media_type == PNG:
        return await responses.png(sheet, drawn, first)
    return await _each(media_type, drawn, seeds)


async def _each(media_type: str, drawn: Drawn, seeds: list[int]) -> Response:
    """Every image by itself, in a ZIP or in JSON."""
    files = await responses.pngs(drawn, seeds)
    named = list(zip(seeds, files, strict=True))
    if media_type == ZIP:
        return responses.archive({f"{seed}.png": file for seed, file in named}, drawn, seeds[0])
    served = drawn.served
    listed = [
        GeneratedImage(seed=seed, url=url(served, seed), png=responses.base64_text(file))
        for seed, file in named
    ]
    body = Generated(model=served.card.name, version=served.card.version, images=listed)
    return responses.json(body, drawn, seeds[0])
