"""``/images/…``: the image of one seed, whose bytes never change."""

import weakref
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.api import direct_route, etags, openapi
from app.api.content_negotiation import PNG, WEBP, choose
from app.api.drawing import DRAWING_ERRORS, RouteContext, route_context
from app.api.endpoints import Access, Endpoints
from app.api.image_cache import ImageKey
from app.api.parameters import ImageQuery, Seed, Version
from app.api.raw_response import Headers, RawResponse, entity_headers, permanent, revalidated
from app.artifact.card import ModelName
from app.imaging.sheets import Sheet
from app.middleware.endpoint_traits import EndpointTraits
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(
    APIRouter(tags=["images"], route_class=direct_route.DirectKeyRoute),
    access=Access.WITH_KEY,
    errors=DRAWING_ERRORS,
    traits=EndpointTraits(pays="if refused"),
    is_direct=True,
)
router = ENDPOINTS.router

_PATH = "/images/{model}/{version}/{seed}.{form}"
FileFormat = Literal["png", "webp"]
_MEDIA_TYPES: dict[FileFormat, str] = {"png": PNG, "webp": WEBP}
_SHEET = Sheet(columns=1)
_REMEMBERED, _SHORT = 4096, 256
"""How many URLs are remembered, and the most bytes of each."""


class ImagePath(BaseModel):
    """Path of ``/images/…``."""

    model: ModelName = Field(description="a served model", examples=["fashion-mnist"])
    version: Version = Field(
        description="its version; `latest` is the default version of the model at that time",
        examples=[3],
    )
    seed: Seed = Field(description="the image's seed")
    form: FileFormat = Field(description="file format; the pixels are the same")


_DESCRIPTION = direct_route.description(ImageQuery, path=ImagePath)
_DESCRIPTION["parameters"] += openapi.IF_NONE_MATCH["parameters"]


def url(
    version: ModelVersion,
    options: DrawOptions,
    seed: int,
    form: FileFormat = "png",
    base: str = "",
) -> str:
    """The URL of one image below ``base``, which is the server's or empty."""
    # No value contains a character that a query must escape (RFC 3986, section 3.4).
    query = "&".join(f"{name}={value}" for name, value in options.parameters.items())
    path = f"{base}/images/{version.key}/{seed}.{form}"
    return f"{path}?{query}" if query else path


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What the URL of an image means while its version is in service."""

    path: ImagePath
    version: "weakref.ref[ModelVersion]"
    """It does not keep the version in memory."""
    options: DrawOptions
    media_type: str
    etag: str
    headers: Headers
    """Those of every response about the image."""


@dataclass(slots=True)
class _Url:
    """A URL that was requested recently."""

    meaning: _Meaning | None = None
    """None until it has been parsed."""


_url = lru_cache(_REMEMBERED)(lambda _path, _query, _private: _Url())
"""The same object for the same path, query and visibility, while they are remembered."""


@dataclass(frozen=True, slots=True)
class _RequestedImage:
    """One image that is requested."""

    route: RouteContext
    version: ModelVersion
    meaning: _Meaning
    not_modified: bool
    """Whether the client's copy is current."""

    @property
    def key(self) -> ImageKey:
        """The image."""
        meaning = self.meaning
        return ImageKey(self.version, meaning.options, meaning.path.seed, meaning.media_type)

    def response(self, content: bytes, timing: str) -> Response:
        """The image."""
        about = entity_headers(self.meaning.media_type, len(content))
        timed = (b"server-timing", timing.encode())
        return RawResponse(content, (*self.meaning.headers, timed, *about))

    def not_modified_response(self) -> Response:
        """304: the client's copy is current (RFC 9110, section 15.4.5)."""
        return RawResponse(b"", self.meaning.headers, HTTPStatus.NOT_MODIFIED)


def _requested(request: Request) -> _RequestedImage:
    route, scope = route_context(request), request.scope
    path, query, private = scope["path"], scope["query_string"], route.request.needs_key
    url = _url(path, query, private) if len(path) + len(query) <= _SHORT else _Url()
    meaning = url.meaning or _parsed(request, route)
    version = route.find(meaning.path.model, meaning.path.version, "path")
    if meaning.version() is not version:  # it was loaded again
        meaning = _parsed(request, route)
    url.meaning = meaning
    route.request.timeout()  # so that a wrong one is refused even if the image is cached
    choose(route.accept, (meaning.media_type,))
    if_none_match = route.request.header(b"if-none-match")
    not_modified = if_none_match is not None and etags.matches([if_none_match], meaning.etag)
    return _RequestedImage(route, version, meaning, not_modified)


def _parsed(request: Request, route: RouteContext) -> _Meaning:
    """What the URL means now. Raises RefusedParametersError, NotFoundError and ParameterError."""
    path, query = direct_route.parse(request, ImagePath, ImageQuery)
    version = route.find(path.model, path.version, "path")
    choice = version.choice(query.mixtures, query.amounts)
    options = query.options(version.edit(query.strengths), choice)
    route.drawing(version, options, _SHEET, 1, scale=query.scale)
    key = ImageKey(version, options, path.seed, _MEDIA_TYPES[path.form])
    etag = key.etag
    cached = revalidated if path.version == "latest" else permanent
    headers = (
        (b"etag", etag.encode()),
        *cached(private=route.request.needs_key),
        (b"x-model", str(version.key).encode()),
        (b"x-seed", b"%d" % path.seed),
        (b"vary", b"Accept"),
        *key.condition_headers,
    )
    return _Meaning(path, weakref.ref(version), options, key.media_type, etag, headers)


@router.get(
    _PATH,
    response_class=Response,
    responses=openapi.cacheable_images(*_MEDIA_TYPES.values()),
    openapi_extra=_DESCRIPTION,
)
async def image(request: Request) -> Response:
    """Generate the image of one seed, edited if `edit` is given. It may be cached permanently.

    With `latest` in place of the version, caches ask each time whether their copy is current.

    If `If-None-Match` names the current `ETag`, the response is 304 and nothing is generated.
    """
    requested = _requested(request)
    if requested.not_modified:
        return requested.not_modified_response()
    services, context = requested.route.services, requested.route.request
    etag = requested.meaning.etag
    content = services.image_cache.get(etag)
    if content is not None:
        return requested.response(content, "cache")
    key = requested.key
    claim = services.admission.charge(context, key.price)
    file = await services.image_cache.generate(key, etag, claim, context.stats)
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
    meaning = requested.meaning
    content = requested.route.services.image_cache.get(meaning.etag)
    length = None if content is None else len(content)
    return RawResponse(b"", (*meaning.headers, *entity_headers(meaning.media_type, length)))
