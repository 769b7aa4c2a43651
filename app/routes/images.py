"""``GET /images/…``: one image of one seed, the same bytes for ever."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app import openapi, responses
from app.card import ModelName, ModelVersion
from app.catalog import Served
from app.deps import Accept, InService
from app.negotiation import PNG, choose
from app.requests import Seed

router = APIRouter(tags=["images"])

# A published version never changes, nor does what it draws.
_FOR_EVER = "public, max-age=31536000, immutable"


def url(served: Served, seed: int) -> str:
    """The path of one image."""
    return f"/images/{served.title}/{seed}.png"


@router.get(
    "/images/{model}/{version}/{seed}.png",
    response_class=Response,
    responses=openapi.pictures([PNG], "The image"),
)
async def image(
    model: Annotated[ModelName, Path(description="a served model")],
    version: Annotated[ModelVersion, Path(description="its version")],
    seed: Annotated[Seed, Path(description="the image's seed")],
    catalog: InService,
    accept: Accept,
) -> Response:
    """Draw the image of one seed. It may be cached for ever."""
    choose(accept, [PNG])
    served = catalog.find(model, version, place="path")
    (pixels,) = await served.draw(served.latents([seed]))
    response = await responses.png(pixels, served, seed)
    response.headers["Cache-Control"] = _FOR_EVER
    return response
