"""``/images/…``: one image of one seed, the same bytes for ever."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api import etags, openapi
from app.api.content_negotiation import PNG, WEBP, choose
from app.api.dependencies import (
    Accept,
    Configured,
    IfNoneMatch,
    ImageLimit,
    InService,
    KeptPictures,
)
from app.api.image_cache import Picture
from app.api.parameters import ImageQuery
from app.api.values import Seed
from app.artifact.card import ModelName, VersionNumber
from app.imaging.sheets import Sheet
from app.middleware import request_context
from app.registry.model_version import Served

router = APIRouter(tags=["images"])

Form = Literal["png", "webp"]

_PATH = "/images/{model}/{version}/{seed}.{form}"
_TYPES: dict[Form, str] = {"png": PNG, "webp": WEBP}
# A published version never changes, nor does what it draws.
_FOR_EVER = "max-age=31536000, immutable"


def url(served: Served, seed: int) -> str:
    """The path of one image, with what was done to it."""
    # Nothing in their texts needs an escape in a query (RFC 3986, section 3.4).
    query = "&".join(f"{name}={value}" for name, value in served.changes.items())
    path = f"/images/{served.title}/{seed}.png"
    return f"{path}?{query}" if query else path


@dataclass(frozen=True)
class _Asked:
    """One image, and what is told of it whether it has to be drawn or not."""

    picture: Picture
    etag: str
    headers: dict[str, str]
    unchanged: bool
    """Whether the client has it."""

    def answer(self, content: bytes, timing: str) -> Response:
        """The image."""
        headers = {**self.headers, "Server-Timing": timing}
        return Response(content, headers=headers, media_type=self.picture.media_type)

    def nothing(self) -> Response:
        """Word that the client's copy is still good (RFC 9110, section 15.4.5)."""
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=self.headers)


async def _served(
    model: Annotated[ModelName, Path(description="a served model")],
    version: Annotated[VersionNumber, Path(description="its version")],
    query: Annotated[ImageQuery, Query()],
    catalog: InService,
    limit: ImageLimit,
) -> Served:
    served = catalog.find(model, version, place="path").editing(query.strengths, query.look)
    limit.check_size(served, Sheet(columns=1), 1, scale=query.scale)
    return served


async def _picture(
    served: Annotated[Served, Depends(_served)],
    seed: Annotated[Seed, Path(description="the image's seed")],
    form: Annotated[Form, Path(description="what kind of file; both have the same pixels")],
    accept: Accept,
) -> Picture:
    request_context.check()
    choose(accept, (_TYPES[form],))
    return Picture(served, seed, _TYPES[form])


async def _asked(
    picture: Annotated[Picture, Depends(_picture)],
    if_none_match: IfNoneMatch,
    settings: Configured,
) -> _Asked:
    etag = picture.etag
    headers = {
        "ETag": etag,
        # What takes a key is not for those who share a cache with somebody who has one.
        "Cache-Control": f"{'private' if settings.api_keys else 'public'}, {_FOR_EVER}",
        "X-Model": picture.served.title,
        "X-Seed": str(picture.seed),
        "Vary": "Accept",
    }
    return _Asked(picture, etag, headers, etags.matches(if_none_match, etag))


@router.get(
    _PATH,
    response_class=Response,
    responses=openapi.kept(*_TYPES.values()),
    openapi_extra=openapi.IF_NONE_MATCH,
)
async def image(asked: Annotated[_Asked, Depends(_asked)], pictures: KeptPictures) -> Response:
    """Draw the image of one seed, edited where `edit` says so. It may be cached for ever.

    A client that has it, and says so in `If-None-Match`, is answered without drawing it.
    """
    if asked.unchanged:
        return asked.nothing()
    content = pictures.kept(asked.etag)
    if content is not None:
        return asked.answer(content, "cache")
    file = await pictures.draw(asked.picture, asked.etag)
    return asked.answer(file.content, file.timing)


@router.head(
    _PATH,
    response_class=Response,
    responses=openapi.kept(),
    openapi_extra=openapi.IF_NONE_MATCH,
)
async def image_head(asked: Annotated[_Asked, Depends(_asked)], pictures: KeptPictures) -> Response:
    """Tell what `GET` would, without the image. It is not drawn for that.

    Its length is told where it is known (RFC 9110, section 9.3.2).
    """
    if asked.unchanged:
        return asked.nothing()
    response = Response(headers=asked.headers, media_type=asked.picture.media_type)
    content = pictures.kept(asked.etag)
    if content is None:
        del response.headers["Content-Length"]
    else:
        response.headers["Content-Length"] = str(len(content))
    return response
