"""``/v2/repository``: what the models folder holds, as the protocol's extension tells it."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from app.api import openapi
from app.api.content_negotiation import JSON
from app.api.dependencies import Administered, InService
from app.api.v2.models import Name
from app.api.v2.schemas import Done, IndexEntry, IndexRequest, LoadRequest, UnloadRequest
from app.errors import NotFoundError, ParameterError, RepositoryError, TooLargeError
from app.registry.registry import MODELS, Refused


class JsonRoute(APIRoute):
    """A route whose body is JSON, whatever it is called: Triton's clients call it text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, but of a request that says so."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            headers = [one for one in request.scope["headers"] if one[0] != b"content-type"]
            headers.append((b"content-type", JSON.encode()))
            return await handle(Request({**request.scope, "headers": headers}, request.receive))

        return handled


_PREFIX = "/v2/repository"
router = APIRouter(prefix=_PREFIX, tags=["open inference protocol"], route_class=JsonRoute)
administration = APIRouter(prefix=_PREFIX, tags=["administration"], route_class=JsonRoute)

_ORDERING = openapi.protocol_errors(NotFoundError, RepositoryError, TooLargeError, ParameterError)


@router.post("/index", responses=openapi.protocol_errors(TooLargeError, ParameterError))
async def repository_index(
    catalog: InService, body: IndexRequest | None = None
) -> list[IndexEntry]:
    """Every version in the models folder, and why one is out of service."""
    index = [
        IndexEntry(name=served.card.name, version=str(served.card.version), state="READY")
        for served in catalog
    ]
    if body is None or not body.ready:
        refused = (one for one in catalog.refused if one.folder != MODELS)
        index += [_unavailable(one) for one in refused]
    return index


@administration.post("/models/{model}/load", responses=_ORDERING)
async def load_model(
    model: Name, repository: Administered, body: LoadRequest | None = None
) -> Done:
    """Look at a model's folder anew: serve what is there, and retire what is not.

    `{"parameters": {"versions": [1, 2]}}` serves these and no others, until the next order: so a
    model is rolled back. Where a version cannot be served, its reasons are the answer, what was
    served still is, and other versions are served all the same. All workers have followed when the
    answer comes.
    """
    await repository.load(model, body.parameters.versions if body else None)
    return Done()


@administration.post("/models/{model}/unload", responses=_ORDERING)
async def unload_model(
    model: Name,
    repository: Administered,
    body: UnloadRequest | None = None,  # noqa: ARG001 # it is checked, and says nothing
) -> Done:
    """Take all versions of a model out of service until it is loaded again.

    Requests that they have begun are finished. All workers have followed when the answer comes.
    """
    await repository.unload(model)
    return Done()


def _unavailable(refused: Refused) -> IndexEntry:
    name, _, version = refused.folder.rpartition("/")
    return IndexEntry(name=name, version=version, state="UNAVAILABLE", reason=refused.reason)
