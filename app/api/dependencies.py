"""The application's state, and the dependencies with which routes read it and the request.

All dependencies are ``async`` although none of them waits: FastAPI would run a plain function on a
thread, which takes longer than a whole response without images.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response, Security, params
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel

from app.api.image_cache import ImageCache
from app.api.json_request import JsonRequest
from app.api.query_lists import check_repeated
from app.auth.api_keys import Authenticator
from app.errors import NotReadyError, invalid, parameter_error
from app.middleware.encoders import Encoders
from app.middleware.load_shedding import Admission
from app.middleware.request_context import context_of
from app.middleware.upload_memory import UploadMemory
from app.observability.metrics import Metrics
from app.registry.registry import Registry
from app.registry.reloader import Reloader
from app.settings import Settings

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

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
    encoders: Encoders
    upload_memory: UploadMemory
    image_cache: ImageCache
    metrics: Metrics
    not_ready_reason: Callable[[], str | None]
    """Why this process is not ready although it serves models; None if it is ready."""


def services_of(request: Request) -> Services:
    """The parts of the application, which ``create_app`` has built."""
    services: Services = request.scope["app"].state["services"]
    return services


async def _services(request: Request) -> Services:
    return services_of(request)


async def _registry(request: Request) -> Registry:
    return services_of(request).registry


async def _if_none_match(request: Request) -> Sequence[str]:
    return request.headers.getlist("if-none-match")


def check_ready(request: Request) -> None:
    """Raise NotReadyError while the server is shutting down or its engine does not respond."""
    if reason := services_of(request).not_ready_reason():
        raise NotReadyError(reason)


async def _require_ready(request: Request) -> None:
    check_ready(request)


async def require_key(
    request: Request,
    _: Annotated[object, Security(_BEARER)] = None,
    __: Annotated[object, Security(_HEADER)] = None,
) -> None:
    """Describe the keys in the OpenAPI document; raises as ``check_key``."""
    check_key(request)


async def require_administrator(
    request: Request,
    _: Annotated[object, Security(_BEARER)] = None,
    __: Annotated[object, Security(_HEADER)] = None,
) -> None:
    """Describe the keys in the OpenAPI document; raises as ``check_administrator``."""
    check_administrator(request)


def check_key(request: Request) -> None:
    """Raise UnauthorizedError if generating images needs a key that the request does not have.

    Further calls for the same request do nothing.
    """
    context = context_of(request.scope)
    if context.authenticator.drawing and not context.needs_key:
        context.needs_key = True
        context.authenticator.require_key(request)


def check_administrator(request: Request) -> None:
    """Raise UnauthorizedError or ForbiddenError unless the request may load and unload models.

    Further calls for the same request do nothing.
    """
    context = context_of(request.scope)
    if not context.needs_key:
        context.needs_key = True
        services_of(request).authenticator.require_administrator(request)


def checked_first(check: Callable[[Request], None], handle: Handler) -> Handler:
    """``handle``, after ``check`` has let the request pass."""

    async def handle_checked(request: Request) -> Response:
        check(request)
        return await handle(request)

    return handle_checked


class KeyRoute(APIRoute):
    """A route that checks the API key, and the query for repetitions, before it reads the body.

    FastAPI itself reads and parses the body first and resolves dependencies afterwards. Of a
    parameter that is given twice it takes the last value.
    """

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, after ``check_key`` and ``check_repeated``."""
        annotations = (field.field_info.annotation for field in self.dependant.query_params)
        models = [
            one for one in annotations if isinstance(one, type) and issubclass(one, BaseModel)
        ]

        def check_query(request: Request) -> None:
            for model in models:
                check_repeated(request.query_params, model)

        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return checked_first(check_key, checked_first(check_query, handle_json))


def refused_in_query(*names: str) -> params.Depends:
    """The dependency that raises ParameterError for parameters that belong in the body.

    Other names in the query are ignored: proxies and clients may add some.
    """

    async def check(request: Request) -> None:
        query = request.query_params
        allowed = "sent in the body, not in the query"
        misplaced = [
            invalid(name, "query", query[name], allowed) for name in names if name in query
        ]
        if misplaced:
            raise parameter_error(*misplaced)

    return params.Depends(check)


RequiresReady = Depends(_require_ready)
"""Raises as ``check_ready``."""

CurrentServices = Annotated[Services, Depends(_services)]
CurrentRegistry = Annotated[Registry, Depends(_registry)]
IfNoneMatch = Annotated[Sequence[str], Depends(_if_none_match)]
