"""``/images/…``: the image of one seed, whose bytes never change."""

from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from app.api import direct_route, etags, openapi
from app.api.content_negotiation import PNG, WEBP, choose
from app.api.drawing import RouteContext, route_context
from app.api.image_cache import ImageKey
from app.api.parameters import FileFormat, ImagePath, ImageQuery
from app.api.raw_response import Headers, RawResponse, entity_headers
from app.artifact.version_key import VersionKey
from app.imaging.sheets import Sheet
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

router = APIRouter(tags=["images"], route_class=direct_route.DirectKeyRoute)

_PATH = "/images/{model}/{version}/{seed}.{form}"
_MEDIA_TYPES: dict[FileFormat, str] = {"png": PNG, "webp": WEBP}
_SHEET = Sheet(columns=1)
# A published version never changes, and neither do its images.
_CACHE_FOREVER = "max-age=31536000, immutable"
_REMEMBERED = 4096
"""Images whose headers are remembered."""
_DESCRIPTION = direct_route.description(ImageQuery, path=ImagePath)
_DESCRIPTION["parameters"] += openapi.IF_NONE_MATCH["parameters"]


def url(version: ModelVersion, options: DrawOptions, seed: int, form: FileFormat = "png") -> str:
    """The path and query of one image."""
    # No value contains a character that a query must escape (RFC 3986, section 3.4).
    query = "&".join(f"{name}={value}" for name, value in options.parameters.items())
    path = f"/images/{version.key}/{seed}.{form}"
    return f"{path}?{query}" if query else path


@dataclass(frozen=True, slots=True)
class _RequestedImage:
    """One image, and the headers that every response about it has."""

    route: RouteContext
    key: ImageKey
    etag: str
    headers: Headers
    not_modified: bool
    """Whether the client's copy is current."""

    def response(self, content: bytes, timing: str) -> Response:
        """The image."""
        own = (
            (b"server-timing", timing.encode()),
            *entity_headers(self.key.media_type, len(content)),
        )
        return RawResponse(content, (*self.headers, *own))

    def not_modified_response(self) -> Response:
        """304: the client's copy is current (RFC 9110, section 15.4.5)."""
        return RawResponse(b"", self.headers, HTTPStatus.NOT_MODIFIED)


def _requested(request: Request) -> _RequestedImage:
    path, query = direct_route.parse(request, ImagePath, ImageQuery)
    route = route_context(request)
    version = route.find(path.model, path.version, "path")
    choice = version.choice(query.mixtures, query.amounts)
    options = query.options(version.edit(query.strengths), choice)
    route.drawing(version, options, _SHEET, 1, scale=query.scale)
    route.request.timeout()  # so that a wrong one is refused even if the image is cached
    media_type = choose(route.accept, (_MEDIA_TYPES[path.form],))
    key = ImageKey(version, options, path.seed, media_type)
    etag = key.etag
    private = bool(route.services.settings.api_keys)
    headers = (*_headers(etag, version.key, path.seed, private), *key.condition_headers)
    if_none_match = route.request.values(b"if-none-match")
    not_modified = bool(if_none_match) and etags.matches(if_none_match, etag)
    return _RequestedImage(route, key, etag, headers, not_modified)


@lru_cache(_REMEMBERED)
def _headers(etag: str, version: VersionKey, seed: int, private: bool) -> Headers:
    # A shared cache must not give images that need a key to clients without one.
    visibility = "private" if private else "public"
    return (
        (b"etag", etag.encode()),
        (b"cache-control", f"{visibility}, {_CACHE_FOREVER}".encode()),
        (b"x-model", str(version).encode()),
        (b"x-seed", str(seed).encode()),
        (b"vary", b"Accept"),
    )


@router.get(
    _PATH,
    response_class=Response,
    responses=openapi.cacheable_images(*_MEDIA_TYPES.values()),
    openapi_extra=_DESCRIPTION,
)
async def image(request: Request) -> Response:
    """Generate the image of one seed, edited if `edit` is given. It may be cached permanently.

    If `If-None-Match` names the current `ETag`, the response is 304 and nothing is generated.
    """
    requested = _requested(request)
    if requested.not_modified:
        return requested.not_modified_response()
    services, context = requested.route.services, requested.route.request
    content = services.image_cache.get(requested.etag)
    if content is not None:
        return requested.response(content, "cache")
    claim = services.admission.charge(context, requested.key.price)
    file = await services.image_cache.generate(requested.key, requested.etag, claim, context.stats)
    return requested.response(file.content, file.timing)


@router.head(
    _PATH,
    response_class=Response,
    responses=openapi.cacheable_images(),
    openapi_extra=_DESCRIPTION,
)
async def image_head(request: Request) -> Response:
    """Headers only; the image is not generated.

    `Content-Length` is present if the image is cached (RFC 9110, section 9.3.2).
    """
    requested = _requested(request)
    if requested.not_modified:
        return requested.not_modified_response()
    content = requested.route.services.image_cache.get(requested.etag)
    length = None if content is None else len(content)
    return RawResponse(b"", (*requested.headers, *entity_headers(requested.key.media_type, length)))
