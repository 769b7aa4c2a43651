"""``GET /health/…``: liveness and readiness for load balancers and orchestrators."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from app.api import openapi
from app.api.content_negotiation import JSON
from app.api.dependencies import check_ready, services_of
from app.api.direct_route import DirectRoute
from app.api.endpoints import Endpoints
from app.api.raw_response import RawResponse, entity_headers
from app.api.schemas import Live, Ready, ReadyVersion, RefusedVersion
from app.errors import NotReadyError

ENDPOINTS = Endpoints(
    APIRouter(prefix="/health", tags=["health"], route_class=DirectRoute), is_direct=True
)
router = ENDPOINTS.router


def _json(content: BaseModel) -> Response:
    body = content.model_dump_json().encode()
    return RawResponse(body, entity_headers(JSON, len(body)))


_LIVE = _json(Live())


@router.get("/live", response_model=Live)
async def live(_: Request) -> Response:
    """Report that the process responds."""
    return _LIVE


@router.get("/ready", response_model=Ready, responses=openapi.problems(NotReadyError))
async def ready(request: Request) -> Response:
    """Report what serves: 200 if the default model is in service, else 503 with the reason."""
    check_ready(request)
    registry = services_of(request).registry
    default = registry.find()
    found = Ready(
        model=default.card.name,
        version=default.card.version,
        provider=default.engine.provider,
        precision=default.engine.precision,
        models=[
            ReadyVersion(
                model=version.card.name,
                version=version.card.version,
                provider=version.engine.provider,
                precision=version.engine.precision,
                experimental=version.engine.is_experimental,
            )
            for version in registry
        ],
        loading=[str(key) for key in sorted(registry.loading)],
        refused=[RefusedVersion(folder=r.folder, reason=r.reason) for r in registry.refused],
    )
    return _json(found)
