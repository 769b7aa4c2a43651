"""``GET /images/…``: one image of one seed, the same bytes for ever."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from app import openapi, responses
from app.card import ModelName, ModelVersion
from app.deps import Accept, ImageLimit, InService
from app.images import Sheet
from app.negotiation import PNG, choose
from app.requests import ImageQuery
from app.served import Served
from app.values import Seed

router = APIRouter(tags=["images"])

# A published version never changes, nor does what it draws.
_FOR_EVER = "public, max-age=31536000, immutable"


def url(served: Served, seed: int) -> str:
    """The path of one image, with what was done to it."""
    # Nothing in their texts needs an escape in a query (RFC 3986, section 3.4).
    query = "&".join(f"{name}={value}" for name, value in served.changes.items())
    path = f"/images/{served.title}/{seed}.png"
    return f"{path}?{query}" if query else path


async def _changed(
    model: Annotated[ModelName, Path(description="a served model")],
    version: Annotated[ModelVersion, Path(description="its version")],
    query: Annotated[ImageQuery, Query()],
    catalog: InService,
) -> Served:
    found = catalog.find(model, version, place="path")
    return found.editing(query.strengths, query.look)


@router.get(
    "/images/{model}/{version}/{seed}.png",
    response_class=Response,
    responses=openapi.pictures([PNG], "The image"),
)
async def image(
    served: Annotated[Served, Depends(_changed)],
    seed: Annotated[Seed, Path(description="the image's seed")],
    query: Annotated[ImageQuery, Query()],
    limit: ImageLimit,
    accept: Accept,
) -> Response:
    """Draw the image of one seed, edited where `edit` says so. It may be cached for ever."""
    choose(accept, [PNG])
    sheet = Sheet(columns=1)
    limit.check_size(served, sheet, 1, scale=query.scale)
    drawn = await served.draw(served.latents([seed]))
    response = await responses.png(sheet, drawn, seed)
    response.headers["Cache-Control"] = _FOR_EVER
    return response
