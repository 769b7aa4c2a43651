"""``GET /``: the web page and its static files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.resources import files
from pathlib import PurePath

from fastapi import APIRouter, Response

from app.api import etags
from app.api.dependencies import IfNoneMatch
from app.artifact import card
from app.errors import NotFoundError, invalid

router = APIRouter(include_in_schema=False)

_INDEX = "index.html"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Images without a URL arrive as base64 in JSON and are shown through data URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    # File names are stable while contents change: browsers revalidate, and usually get a 304.
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class _File:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str


@cache
def _files() -> Mapping[str, _File]:
    """All files of the page by name."""
    found = {}
    for file in files("app.web").iterdir():
        if media_type := _TYPES.get(PurePath(file.name).suffix):
            content = file.read_bytes()
            etag = etags.strong(card.digest(content))
            found[file.name] = _File(content, media_type, etag)
    return found


@router.get("/")
async def page(if_none_match: IfNoneMatch) -> Response:
    """Return the page."""
    return _response(_files()[_INDEX], if_none_match)


@router.get("/web/{name}")
async def part(name: str, if_none_match: IfNoneMatch) -> Response:
    """Return a file that the page loads."""
    if (file := _files().get(name)) is None:
        allowed = f"one of {', '.join(sorted(_files()))}"
        problem = invalid("name", "path", name, allowed)
        raise NotFoundError(f"name is {name!r} but must be {allowed}", [problem])
    return _response(file, if_none_match)


def _response(file: _File, if_none_match: Sequence[str]) -> Response:
    """The file, or 304 if the client's copy is current (RFC 9110, section 13.1.2)."""
    headers = {**_HEADERS, "ETag": file.etag}
    if etags.matches(if_none_match, file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
