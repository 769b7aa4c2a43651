"""What the document says of the picture in the page's address, for before the script has run.

Other sites show a title and an image for a link. The browser shows the image, and loads the first
sheet of the gallery, while it loads the script.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

from fastapi import Request
from pydantic import TypeAdapter, ValidationError

from app.api.drawing import RouteContext
from app.api.parameters import ImageQuery, ModelQuery, Seed
from app.api.routes.images import url
from app.api.routes.page_images import read_latent
from app.errors import AppError
from app.middleware.request_context import context_of
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

_FIRST_MODEL, _FIRST_SEED = "faces", 18
"""The first picture of the page; ``models.js`` and ``state.js`` have the same."""
_OPTIONS = ("class", "attributes", "edit", "truncation")
_ROWS, _COLUMNS = 6, 10
"""Of a sheet of the gallery; ``gallery.js`` has the same."""
_ELSEWHERE = {"rows", "apply", "scroll"}
"""Fields of the address with which the page shows another sheet first."""
_SEED: TypeAdapter[int] = TypeAdapter(Seed)
_SIZE = 512
"""Pixels of the longer side of an image on another site, at most."""
PAGE_NAME = "AI pictures of things that do not exist"
_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Preview:
    """Parts of the page's HTML: in its head and on the stage; empty without a picture."""

    head: str = ""
    stage: str = ""


def preview(request: Request, route: RouteContext) -> Preview:
    """The preview of the picture in the address of ``request``, or else of the first picture."""
    try:
        return _preview(request, route)
    except (AppError, ValidationError):
        return Preview()  # the page removes what is wrong in its address


def _preview(request: Request, route: RouteContext) -> Preview:
    given = request.query_params
    version = _version(given, route)
    query = ImageQuery.model_validate({name: given[name] for name in _OPTIONS if name in given})
    choice = version.choice(query.mixtures, query.amounts)
    options = query.options(version.edit(query.strengths), choice)
    point = _point(given, version)
    head = _head(request, version, options, point)
    if route.services.authenticator.drawing:
        return Preview(head)  # a browser may not have the key for the images yet
    source = escape(_source(version, options, point))
    image = f'<img id="stage-first" src="{source}" alt="" fetchpriority="high">'
    # The sheet comes after the image, which the server then generates first.
    return Preview(head, image + _sheet_link(given, version, route))


def _version(given: Mapping[str, str], route: RouteContext) -> ModelVersion:
    """The version in the address. Raises ValidationError, NotFoundError or NotReadyError."""
    named = {name: given[name] for name in ("model", "version") if name in given}
    query = ModelQuery.model_validate(named)
    if query.model is None and _FIRST_MODEL in route.services.registry.models:
        return route.find(_FIRST_MODEL, query.version)
    return route.find(query.model, query.version)


def _point(given: Mapping[str, str], version: ModelVersion) -> int | str:
    """The seed, or the text of the latent. Raises ValidationError or ParameterError."""
    if text := given.get("latent"):
        read_latent(version, text)
        return text
    return _SEED.validate_python(given.get("seed", _FIRST_SEED))


def _source(version: ModelVersion, options: DrawOptions, point: int | str) -> str:
    """The URL of the image, relative to the page."""
    if isinstance(point, int):
        return url(version, options, point).removeprefix("/")
    card = version.card
    fields = {"model": card.name, "version": card.version, "latent": point, **options.parameters}
    return "web/latent.png?" + "&".join(f"{name}={value}" for name, value in fields.items())


def _sheet_link(given: Mapping[str, str], version: ModelVersion, route: RouteContext) -> str:
    """A link that preloads the first sheet of the gallery, unless that depends on the window.

    On a phone the sheet is far below the picture, which comes first there.
    """
    if route.services.settings.max_images < _ROWS * _COLUMNS or _ELSEWHERE & given.keys():
        return ""
    first = _SEED.validate_python(given.get("first", 0))
    model = f"model={version.card.name}&version={version.card.version}"
    sheet = escape(f"grid?{model}&rows={_ROWS}&cols={_COLUMNS}&seed={first}")
    return (
        f'<link rel="preload" href="{sheet}" as="fetch" crossorigin fetchpriority="low" '
        'media="(min-width: 48.01rem)">'
    )


def _head(request: Request, version: ModelVersion, options: DrawOptions, point: int | str) -> str:
    """The title, and tags of the Open Graph protocol (ogp.me) with absolute URLs."""
    image = version.card.image
    scale = max(1, min(8, _SIZE // max(image.height, image.width)))
    name = version.card.name
    named = f"{name} {point}" if isinstance(point, int) else name
    title = escape(f"{named} {_DASH} {PAGE_NAME}")
    source = _source(version, replace(options, scale=scale), point)
    tags = {
        "og:title": title,
        "og:type": "website",
        "og:image": escape(f"{context_of(request.scope).public_url}/{source}"),
        "og:image:width": scale * image.width,
        "og:image:height": scale * image.height,
    }
    metas = (f'<meta property="{name}" content="{text}">' for name, text in tags.items())
    return "\n".join((f"<title>{title}</title>", *metas))
