"""``GET /``: the web page and its static files."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePath

from fastapi import APIRouter, Request, Response

from app.api import etags
from app.api.dependencies import IfNoneMatch
from app.api.drawing import Route
from app.api.endpoints import Endpoints
from app.api.page_preview import PAGE_NAME, preview
from app.artifact import card
from app.errors import NotFoundError, error_naming, invalid
from app.web.bundle import bundle

ENDPOINTS = Endpoints(APIRouter(include_in_schema=False))
router = ENDPOINTS.router

_INDEX, _STYLE, _SCRIPT, _MAIN = "index.html", "style.css", "page.js", "main"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_ROOT = '<html lang="en">'
_STYLE_LINK = f'<link rel="stylesheet" href="web/{_STYLE}">'
_TITLE = f"<title>{PAGE_NAME}</title>"
_FRAME = '<div class="frame">'


@dataclass(frozen=True)
class _File:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str


@cache
def _files() -> Mapping[str, _File]:
    """All files of the page by name: those of the package, and one script made of its modules."""
    contents = {
        file.name: file.read_bytes()
        for file in files("app.web").iterdir()  # Python's modules and their cache lie there, too
        if PurePath(file.name).suffix in _TYPES
    }
    modules = {
        name.removesuffix(".js"): content.decode()
        for name, content in contents.items()
        if name.endswith(".js")
    }
    contents[_SCRIPT] = bundle(modules, _MAIN).encode()
    return {
        name: _File(content, _TYPES[PurePath(name).suffix], etags.strong(card.digest(content)))
        for name, content in contents.items()
    }


@cache
def _headers() -> Mapping[str, str]:
    """The headers of every file of the page."""
    digest = base64.b64encode(hashlib.sha256(_files()[_STYLE].content).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{digest}'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        # File names are stable while contents change: browsers revalidate, and usually get a 304.
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


@router.get("/")
async def page(request: Request, route: Route, if_none_match: IfNoneMatch) -> Response:
    """Return the page, with its style sheet, ``--timeout``, and a preview of its picture."""
    style = _files()[_STYLE].content.decode()
    shown = preview(request, route)
    html = _files()[_INDEX].content.decode()
    timeout = f'data-timeout="{route.services.settings.timeout:g}"'
    for place, text in (
        (_ROOT, _ROOT.replace(">", f" {timeout}>")),
        (_STYLE_LINK, f"<style>{style}</style>"),
        (_TITLE, shown.head or _TITLE),
        (_FRAME, _FRAME + shown.stage),
    ):
        html = html.replace(place, text, 1)
    content = html.encode()
    return _response(_File(content, "text/html", etags.strong(card.digest(content))), if_none_match)


@router.get("/web/{name}")
async def part(name: str, if_none_match: IfNoneMatch) -> Response:
    """Return a file that the page loads."""
    if (file := _files().get(name)) is None:
        allowed = f"one of {', '.join(sorted(_files()))}"
        raise error_naming(NotFoundError, invalid("name", "path", name, allowed))
    return _response(file, if_none_match)


def _response(file: _File, if_none_match: Sequence[str]) -> Response:
    """The file, or 304 if the client's copy is current (RFC 9110, section 13.1.2)."""
    headers = {**_headers(), "ETag": file.etag}
    if etags.matches(if_none_match, file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
