"""What a module of routes declares about them; ``app.api.all_endpoints`` lists the modules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute

from app.api import openapi
from app.api.dependencies import require_administrator, require_key
from app.errors import AppError, ForbiddenError, UnauthorizedError
from app.middleware.endpoint_traits import PLAIN, EndpointTraits, TraitsByPath
from app.settings import Settings


class Access(Enum):
    """Which clients get an answer."""

    ALL = auto()
    WITH_KEY = auto()
    """Those with an API key, if the settings name any: of endpoints that generate images."""
    ADMINISTRATORS = auto()
    """Those with an administrator's key."""


@dataclass(frozen=True)
class Endpoints:
    """The routes of one router, and what is special about all of them."""

    router: APIRouter
    access: Access = Access.ALL
    errors: Sequence[type[AppError]] = ()
    """Described in the OpenAPI document, besides those of each route and of ``access``."""
    traits: EndpointTraits = PLAIN
    is_direct: bool = False
    """Whether direct routes are answered ahead of FastAPI's routing: those called most."""

    @property
    def paths(self) -> list[str]:
        """The paths of the routes, with parameters such as ``{model}``."""
        return [route.path for route in self.router.routes if isinstance(route, APIRoute)]

    def add_to(self, app: FastAPI, settings: Settings) -> None:
        """Add the routes to ``app``, for the clients to which ``settings`` give access."""
        check, refusals = None, []
        if self.access is Access.ADMINISTRATORS:
            check = require_administrator
            refusals = [UnauthorizedError if settings.admin_keys else ForbiddenError]
        elif self.access is Access.WITH_KEY and settings.api_keys:
            check, refusals = require_key, [UnauthorizedError]
        app.include_router(
            self.router,
            responses=openapi.errors_below(self.router.prefix, *self.errors, *refusals),
            dependencies=[Depends(check)] if check else [],
        )


def traits_by_path(endpoints: Iterable[Endpoints]) -> TraitsByPath:
    """The traits of ``endpoints``. Raises ValueError if two have one path with other traits."""
    found: dict[str, EndpointTraits] = {}
    for one in endpoints:
        for path in one.paths:
            if found.setdefault(path, one.traits) != one.traits:
                raise ValueError(f"{path}: two routers have this path, with different traits")
    return TraitsByPath(found)


def folders(endpoints: Iterable[Endpoints]) -> set[str]:
    """The first names of all paths of ``endpoints`` that have several."""
    paths = (path for one in endpoints for path in one.paths)
    return {path.split("/")[1] for path in paths if path.count("/") > 1}
