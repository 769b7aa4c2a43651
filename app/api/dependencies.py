"""What routes ask for, as annotated aliases.

All of it is ``async``, though nothing waits: FastAPI would send each of the others to a thread and
back, which takes longer than to answer without images.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.datastructures import State

from app.api.image_cache import Pictures
from app.auth.api_keys import Access
from app.errors import NotReadyError, ParameterError, offence, refusal
from app.imaging.sheets import MAX_PIXELS, Sheet
from app.registry.model_version import Served
from app.registry.registry import Catalog
from app.registry.reloader import Repository
from app.settings import Settings

# What they find is looked at elsewhere: here they tell the document where keys are.
_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="an API key")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="header")


async def _catalog(request: Request) -> Catalog:
    catalog: Catalog = request.app.state.catalog
    return catalog


async def _ready(request: Request) -> None:
    if reason := hindrance(request.app.state):
        raise NotReadyError(reason)


def hindrance(state: State) -> str | None:
    """Why this process is not ready, whatever it serves."""
    if state.drain.started:
        return "the server is shutting down"
    reason: str | None = state.watchdog.reason
    return reason


async def _accept(request: Request) -> str | None:
    # OpenAPI wants Accept described by the answers' media types, not as a parameter.
    return ", ".join(request.headers.getlist("accept")) or None


async def keyed(
    request: Request,
    _: Annotated[object, Security(_BEARER)],
    __: Annotated[object, Security(_HEADER)],
) -> None:
    """Raise AccessError where drawing takes a key that does not come with the request."""
    access: Access = request.app.state.access
    access.admit(request)


async def administering(
    request: Request,
    _: Annotated[object, Security(_BEARER)],
    __: Annotated[object, Security(_HEADER)],
) -> None:
    """Raise AccessError or ForbiddenError for whoever may not load and unload."""
    access: Access = request.app.state.access
    access.admit_administrator(request)


class Limit:
    """How many images one request may ask for, by setting."""

    def __init__(self, most: int) -> None:
        self.most = most

    def check(self, count: int, place: str = "query", /, **parameters: object) -> None:
        """Raise ParameterError, naming ``parameters``, where ``count`` images are too many."""
        if count > self.most:
            asked = f"{count} images"
            raise _too_much(asked, f"at most {self.most} images in all", place, parameters)

    def check_size(
        self,
        served: Served,
        sheet: Sheet,
        count: int,
        place: str = "query",
        /,
        **parameters: object,
    ) -> None:
        """The same where a sheet of ``count`` images would have more than MAX_PIXELS.

        It holds for every form of an answer: the images in a ZIP have no more pixels than a sheet.
        """
        height, width = sheet.size(count, *served.size)
        if height * width > MAX_PIXELS:
            asked = f"{width} × {height} pixels"
            raise _too_much(asked, f"at most {MAX_PIXELS} pixels", place, parameters)


def _too_much(
    asked: str, allowed: str, place: str, parameters: Mapping[str, object]
) -> ParameterError:
    errors = [offence(name, place, value, allowed) for name, value in parameters.items()]
    named = ", ".join(f"{name}={value}" for name, value in parameters.items())
    return ParameterError(f"{named} asks for {asked} but must ask for {allowed}", errors)


async def _limit(request: Request) -> Limit:
    settings: Settings = request.app.state.settings
    return Limit(settings.max_images)


def exclusive(name: str, others: Mapping[str, object]) -> None:
    """Raise ParameterError for those of ``others`` that are given: ``name`` takes their place."""
    allowed = f"left out where {name} is given"
    given = {other: value for other, value in others.items() if value is not None}
    if given:
        raise refusal(*(offence(other, "query", value, allowed) for other, value in given.items()))


async def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


Healthy = Depends(_ready)
"""Raises NotReadyError while the server is about to end, or its engine does not answer."""


async def _pictures(request: Request) -> Pictures:
    pictures: Pictures = request.app.state.pictures
    return pictures


async def _if_none_match(request: Request) -> Sequence[str]:
    return request.headers.getlist("if-none-match")


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


InService = Annotated[Catalog, Depends(_catalog)]
Accept = Annotated[str | None, Depends(_accept)]
Configured = Annotated[Settings, Depends(_settings)]
KeptPictures = Annotated[Pictures, Depends(_pictures)]
IfNoneMatch = Annotated[Sequence[str], Depends(_if_none_match)]
ImageLimit = Annotated[Limit, Depends(_limit)]
Administered = Annotated[Repository, Depends(_repository)]
