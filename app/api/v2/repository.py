"""``/v2/repository``: the protocol's model repository extension, on the models folder."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.api import openapi
from app.api.content_negotiation import JSON
from app.api.dependencies import (
    CurrentRegistry,
    CurrentServices,
    Handler,
    check_administrator,
    checked_first,
    refused_in_query,
)
from app.api.endpoints import Access, Endpoints
from app.api.json_body import NotNull
from app.api.json_request import JsonRequest
from app.api.v2.models import Name
from app.api.v2.schemas import (
    EmptyResponse,
    IndexEntry,
    IndexRequest,
    LoadRequest,
    UnloadRequest,
)
from app.artifact.version_key import VersionKey
from app.errors import BodyTooLargeError, ModelsFolderError, NotFoundError, ParameterError


class JsonRoute(APIRoute):
    """A route that parses its body as JSON of any content type: Triton's clients send text."""

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, of a request whose content type is JSON."""
        handle = super().get_route_handler()

        async def handle_json(request: Request) -> Response:
            headers = [one for one in request.scope["headers"] if one[0] != b"content-type"]
            headers.append((b"content-type", JSON.encode()))
            return await handle(JsonRequest({**request.scope, "headers": headers}, request.receive))

        return handle_json


class AdministrationRoute(JsonRoute):
    """A route that checks the administrator's key before it reads the body."""

    def get_route_handler(self) -> Handler:
        """The handler of JsonRoute, after ``check_administrator``."""
        return checked_first(check_administrator, super().get_route_handler())


_PREFIX = "/v2/repository"
ENDPOINTS = Endpoints(
    APIRouter(prefix=_PREFIX, tags=["open inference protocol"], route_class=JsonRoute)
)
router = ENDPOINTS.router
ADMINISTRATION = Endpoints(
    APIRouter(prefix=_PREFIX, tags=["administration"], route_class=AdministrationRoute),
    access=Access.ADMINISTRATORS,
)
administration = ADMINISTRATION.router

_RELOAD_ERRORS = openapi.protocol_errors(
    NotFoundError, ModelsFolderError, BodyTooLargeError, ParameterError
)


@router.post(
    "/index",
    responses=openapi.protocol_errors(BodyTooLargeError, ParameterError),
    dependencies=[refused_in_query("ready")],
)
async def repository_index(
    registry: CurrentRegistry, body: Annotated[IndexRequest | None, NotNull()] = None
) -> list[IndexEntry]:
    """List every version in the models folder, and why one is not in service."""
    index = [
        IndexEntry(name=version.card.name, version=str(version.card.version), state="READY")
        for version in registry
    ]
    if body is None or not body.ready:
        index += [
            IndexEntry(name=key.name, version=key.version, state="LOADING")
            for key in sorted(registry.loading)
        ]
        index += [_unavailable(one.key, one.reason) for one in registry.refused if one.key]
    return index


@administration.post(
    "/models/{model}/load",
    responses=_RELOAD_ERRORS,
    dependencies=[refused_in_query("parameters", "versions")],
)
async def load_model(
    model: Name, services: CurrentServices, body: Annotated[LoadRequest | None, NotNull()] = None
) -> EmptyResponse:
    """Read a model's folder again: serve the versions in it, and retire those that are gone.

    `{"parameters": {"versions": [1, 2]}}` serves only these until the next load: this rolls a
    model back. If a version cannot be served, the response has the reasons, the version in service
    stays, and other versions are loaded all the same. All workers have followed when the response
    is sent.
    """
    await services.reloader.load(model, body.parameters.versions if body else None)
    return EmptyResponse()


@administration.post("/models/{model}/unload", responses=_RELOAD_ERRORS)
async def unload_model(
    model: Name,
    services: CurrentServices,
    body: Annotated[UnloadRequest | None, NotNull()] = None,  # noqa: ARG001 # it is validated and has no effect
) -> EmptyResponse:
    """Take all versions of a model out of service until it is loaded again.

    Requests that have begun get their images. All workers have followed when the response is sent.
    """
    await services.reloader.unload(model)
    return EmptyResponse()


def _unavailable(key: VersionKey, reason: str) -> IndexEntry:
    return IndexEntry(name=key.name, version=key.version, state="UNAVAILABLE", reason=reason)
