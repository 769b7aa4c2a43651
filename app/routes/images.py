"""``GET /images/…``: one image of one seed, the same bytes for ever."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from app import openapi, responses
from app.card import ModelName, ModelVersion
from app.deps import Accept, InService
from app.negotiation import PNG, choose
from app.requests import EditQuery, Seed
from app.served import Served

router = APIRouter(tags=["images"])

# A published version never changes, nor does what it draws.
_FOR_EVER = "public, max-age=31536000, immutable"


def url(served: Served, seed: int) -> str:
    """The path of one image, with its edit."""
    path = f"/images/{served.title}/{seed}.png"
    # Nothing in an edit's text needs an escape in a query (RFC 3986, section 3.4).
    return f"{path}?edit={served.edit.text}" if served.edit.text else path


async def _edited(
    model: Annotated[ModelName, Path(description="a served model")],
    version: Annotated[ModelVersion, Path(description="its version")],
    query: Annotated[EditQuery, Query()],
    catalog: InService,
) -> Served:
    return catalog.find(model, version, place="path").editing(query.strengths)


@router.get(
    "/images/{model}/{version}/{seed}.png",
    response_class=Response,
    responses=openapi.pictures([PNG], "The image"),
)
async def image(
    served: Annotated[Served, Depends(_edited)],
    seed: Annotated[Seed, Path(description="the image's seed")],
    accept: Accept,
) -> Response:
    """Draw the image of one seed, edited where `edit` says so. It may be cached for ever."""
    choose(accept, [PNG])
    drawn = await served.draw(served.latents([seed]))
    response = await responses.png(drawn.pixels[0], drawn, seed)
    response.headers["Cache-Control"] = _FOR_EVER
    return response
