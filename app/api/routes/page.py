"""``GET /``: the page to play on, with the files that it is made of."""

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
from app.errors import NotFoundError, offence

router = APIRouter(include_in_schema=False)

_INDEX = "index.html"
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# Images that are in no file of their own come in JSON, and are shown from data URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    # The names of these files stay while what is in them changes: always ask, seldom send.
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
    """All that a browser may have, by name."""
    found = {}
    for file in files("app.web").iterdir():
        if media_type := _TYPES.get(PurePath(file.name).suffix):
            content = file.read_bytes()
            etag = etags.strong(card.digest(content))
            found[file.name] = _File(content, media_type, etag)
    return found


@router.api_route("/", methods=["GET", "HEAD"])
async def page(if_none_match: IfNoneMatch) -> Response:
    """The page itself."""
    return _answer(_files()[_INDEX], if_none_match)


@router.api_route("/web/{name}", methods=["GET", "HEAD"])
async def part(name: str, if_none_match: IfNoneMatch) -> Response:
    """A file that it loads."""
    if (file := _files().get(name)) is None:
        allowed = f"one of {', '.join(sorted(_files()))}"
        problem = offence("name", "path", name, allowed)
        raise NotFoundError(f"name is {name!r} but must be {allowed}", [problem])
    return _answer(file, if_none_match)


def _answer(file: _File, if_none_match: Sequence[str]) -> Response:
    """The file, or word that the client's copy is still good (RFC 9110, section 13.1.2)."""
    headers = {**_HEADERS, "ETag": file.etag}
    if etags.matches(if_none_match, file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
