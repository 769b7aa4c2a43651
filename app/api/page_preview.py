"""The title and the image of the picture in the page's address, for before the script has run.

Other sites show both for a link; the browser shows the image while it loads the script. The picture
of a latent has no URL: such a page has its usual title and no image.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from fastapi import Request
from pydantic import ValidationError

from app.api.drawing import RouteContext
from app.api.parameters import ImagePath, ImageQuery, ModelQuery
from app.api.routes.images import url
from app.errors import AppError
from app.middleware.request_context import context_of
from app.registry.draw_options import DrawOptions
from app.registry.model_version import ModelVersion

_FIRST_MODEL, _FIRST_SEED = "faces", "18"
"""The first picture of the page; ``models.js`` and ``state.js`` have the same."""
_OPTIONS = ("class", "attributes", "edit", "truncation")
_SIZE = 512
"""Pixels of the longer side of an image on another site, at most."""
PAGE_NAME = "AI pictures of things that do not exist"
_DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Preview:
    """Parts of the page's HTML; empty without a picture."""

    head: str = ""
    image: str = ""


def preview(request: Request, route: RouteContext) -> Preview:
    """The preview of the picture in the address of ``request``, or else of the first picture."""
    try:
        return _preview(request, route)
    except (AppError, ValidationError):
        return Preview()  # the page removes what is wrong in its address


def _preview(request: Request, route: RouteContext) -> Preview:
    given = request.query_params
    if given.get("latent"):
        return Preview()
    version = _version(given, route)
    key = {"model": version.card.name, "version": version.card.version}
    seed = given.get("seed", _FIRST_SEED)
    path = ImagePath.model_validate({**key, "seed": seed, "form": "png"})
    query = ImageQuery.model_validate({name: given[name] for name in _OPTIONS if name in given})
    choice = version.choice(query.mixtures, query.amounts)
    options = query.options(version.edit(query.strengths), choice)
    return Preview(
        _head(request, version, options, path.seed),
        _image(url(version, options, path.seed), route),
    )


def _version(given: Mapping[str, str], route: RouteContext) -> ModelVersion:
    """The version in the address. Raises ValidationError, NotFoundError or NotReadyError."""
    named = {name: given[name] for name in ("model", "version") if name in given}
    query = ModelQuery.model_validate(named)
    if query.model is None and _FIRST_MODEL in route.services.registry.models:
        return route.find(_FIRST_MODEL, query.version)
    return route.find(query.model, query.version)


def _image(path: str, route: RouteContext) -> str:
    """The image on the stage. A browser may not have the key for it yet."""
    if route.services.authenticator.drawing:
        return ""
    source = escape(path.removeprefix("/"))
    return f'<img id="stage-first" src="{source}" alt="" fetchpriority="high">'


def _head(request: Request, version: ModelVersion, options: DrawOptions, seed: int) -> str:
    """The title, and tags of the Open Graph protocol (ogp.me) with absolute URLs."""
    image = version.card.image
    scale = max(1, min(8, _SIZE // max(image.height, image.width)))
    enlarged = DrawOptions(options.edit, options.truncation, scale, options.choice)
    title = escape(f"{version.card.name} {seed} {_DASH} {PAGE_NAME}")
    source = url(version, enlarged, seed, base=context_of(request.scope).public_url)
    tags = {
        "og:title": title,
        "og:type": "website",
        "og:image": escape(source),
        "og:image:width": scale * image.width,
        "og:image:height": scale * image.height,
    }
    metas = (f'<meta property="{name}" content="{text}">' for name, text in tags.items())
    return "\n".join((f"<title>{title}</title>", *metas))
