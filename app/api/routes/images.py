"""``/images/…``: the image of one seed, whose bytes never change."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Response

from app.api import etags, openapi
from app.api.content_negotiation import PNG, WEBP, choose
from app.api.dependencies import CurrentServices, IfNoneMatch, KeyRoute
from app.api.drawing import Drawing, Route
from app.api.image_cache import ImageKey
from app.api.parameters import ImageQuery, Seed
from app.artifact.card import ModelName, VersionNumber
from app.imaging.sheets import Sheet
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

router = APIRouter(tags=["images"], route_class=KeyRoute)

FileFormat = Literal["png", "webp"]

_PATH = "/images/{model}/{version}/{seed}.{form}"
_MEDIA_TYPES: dict[FileFormat, str] = {"png": PNG, "webp": WEBP}
# A published version never changes, and neither do its images.
_CACHE_FOREVER = "max-age=31536000, immutable"


def url(version: ModelVersion, options: DrawOptions, seed: int) -> str:
    """The path and query of one image."""
    # No value contains a character that a query must escape (RFC 3986, section 3.4).
    query = "&".join(f"{name}={value}" for name, value in options.parameters.items())
    path = f"/images/{version.key}/{seed}.png"
    return f"{path}?{query}" if query else path


@dataclass(frozen=True)
class _RequestedImage:
    """One image, and the headers that every response about it has."""

    key: ImageKey
    etag: str
    headers: dict[str, str]
    not_modified: bool
    """Whether the client's copy is current."""

    def response(self, content: bytes, timing: str) -> Response:
        """The image."""
        headers = {**self.headers, "Server-Timing": timing}
        return Response(content, headers=headers, media_type=self.key.media_type)

    def not_modified_response(self) -> Response:
        """304: the client's copy is current (RFC 9110, section 15.4.5)."""
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=self.headers)


async def _drawing(
    model: Annotated[ModelName, Path(description="a served model")],
    version: Annotated[VersionNumber, Path(description="its version")],
    query: Annotated[ImageQuery, Query()],
    route: Route,
) -> Drawing:
    found = route.find(model, version, "path")
    options = query.options(found.edit(query.strengths))
    return route.drawing(found, options, Sheet(columns=1), 1, scale=query.scale)


async def _requested(
    drawing: Annotated[Drawing, Depends(_drawing)],
    seed: Annotated[Seed, Path(description="the image's seed")],
    form: Annotated[FileFormat, Path(description="file format; the pixels are the same")],
    route: Route,
    if_none_match: IfNoneMatch,
) -> _RequestedImage:
    route.request.timeout()  # so that a wrong one is refused even if the image is cached
    media_type = choose(route.accept, (_MEDIA_TYPES[form],))
    key = ImageKey(drawing.version, drawing.options, seed, media_type)
    etag = key.etag
    headers = {
        "ETag": etag,
        # A shared cache must not give images that need a key to clients without one.
        "Cache-Control": f"{_visibility(route)}, {_CACHE_FOREVER}",
        "X-Model": str(drawing.version.key),
        "X-Seed": str(seed),
        "Vary": "Accept",
    }
    return _RequestedImage(key, etag, headers, etags.matches(if_none_match, etag))


def _visibility(route: Route) -> str:
    return "private" if route.services.settings.api_keys else "public"


Requested = Annotated[_RequestedImage, Depends(_requested)]


@router.get(
    _PATH,
    response_class=Response,
    responses=openapi.cacheable_images(*_MEDIA_TYPES.values()),
    openapi_extra=openapi.IF_NONE_MATCH,
)
async def image(requested: Requested, route: Route) -> Response:
    """Generate the image of one seed, edited if `edit` is given. It may be cached permanently.

    If `If-None-Match` names the current `ETag`, the response is 304 and nothing is generated.
    """
    cache = route.services.image_cache
    if requested.not_modified:
        return requested.not_modified_response()
    content = cache.get(requested.etag)
    if content is not None:
        return requested.response(content, "cache")
    claim = route.services.admission.charge(route.request, requested.key.price)
    file = await cache.generate(requested.key, requested.etag, claim, route.request.stats)
    return requested.response(file.content, file.timing)


@router.head(
    _PATH,
    response_class=Response,
    responses=openapi.cacheable_images(),
    openapi_extra=openapi.IF_NONE_MATCH,
)
async def image_head(requested: Requested, services: CurrentServices) -> Response:
    """Headers only; the image is not generated.

    `Content-Length` is present if the image is cached (RFC 9110, section 9.3.2).
    """
    if requested.not_modified:
        return requested.not_modified_response()
    response = Response(headers=requested.headers, media_type=requested.key.media_type)
    content = services.image_cache.get(requested.etag)
    if content is None:
        del response.headers["Content-Length"]
    else:
        response.headers["Content-Length"] = str(len(content))
    return response
