"""The application's state, and the dependencies with which routes read it and the request.

All dependencies are ``async`` although none of them waits: FastAPI would run a plain function on a
thread, which takes longer than a whole response without images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from app.api.image_cache import ImageCache
from app.auth.api_keys import Authenticator
from app.errors import NotReadyError
from app.middleware.load_shedding import Admission
from app.observability.metrics import Metrics
from app.registry.registry import Registry
from app.registry.reloader import Reloader
from app.settings import Settings

# These two only add the security schemes to the OpenAPI document; ``Authenticator`` reads the key.
_BEARER = HTTPBearer(auto_error=False, scheme_name="bearer", description="an API key")
_HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, scheme_name="header")


@dataclass(frozen=True)
class Services:
    """The parts of the application that routes use."""

    settings: Settings
    registry: Registry
    reloader: Reloader
    authenticator: Authenticator
    admission: Admission
    image_cache: ImageCache
    metrics: Metrics
    not_ready_reason: Callable[[], str | None]
    """Why this process is not ready although it serves models; None if it is ready."""


def services_of(request: Request) -> Services:
    """The parts of the application, which ``create_app`` has built."""
    services: Services = request.app.state.services
    return services


def accept_of(request: Request) -> str | None:
    """The value of all ``Accept`` headers; None without one."""
    return ", ".join(request.headers.getlist("accept")) or None


async def _services(request: Request) -> Services:
    return services_of(request)


async def _registry(request: Request) -> Registry:
    return services_of(request).registry


async def _if_none_match(request: Request) -> Sequence[str]:
    return request.headers.getlist("if-none-match")


async def _check_ready(request: Request) -> None:
    if reason := services_of(request).not_ready_reason():
        raise NotReadyError(reason)


async def require_key(
    request: Request,
    _: Annotated[object, Security(_BEARER)] = None,
    __: Annotated[object, Security(_HEADER)] = None,
) -> None:
    """Raise UnauthorizedError if generating images needs a key that the request does not have."""
    services_of(request).authenticator.require_key(request)


async def require_administrator(
    request: Request,
    _: Annotated[object, Security(_BEARER)] = None,
    __: Annotated[object, Security(_HEADER)] = None,
) -> None:
    """Raise UnauthorizedError or ForbiddenError unless the request may load and unload models."""
    services_of(request).authenticator.require_administrator(request)


RequiresReady = Depends(_check_ready)
"""Raises NotReadyError while the server is shutting down or its engine does not respond."""

CurrentServices = Annotated[Services, Depends(_services)]
CurrentRegistry = Annotated[Registry, Depends(_registry)]
IfNoneMatch = Annotated[Sequence[str], Depends(_if_none_match)]
