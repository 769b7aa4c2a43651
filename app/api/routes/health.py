"""``GET /health/…``: liveness and readiness for load balancers and orchestrators."""

from fastapi import APIRouter

from app.api import openapi
from app.api.dependencies import CurrentRegistry, Ready
from app.api.schemas import LiveResponse, ReadyResponse, ReadyVersion, RefusedVersion
from app.errors import NotReadyError

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> LiveResponse:
    """Report that the process responds."""
    return LiveResponse()


@router.get("/ready", dependencies=[Ready], responses=openapi.problems(NotReadyError))
async def ready(registry: CurrentRegistry) -> ReadyResponse:
    """Report what serves: 200 if the default model is in service, else 503 with the reason."""
    default = registry.find()
    return ReadyResponse(
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
            )
            for version in registry
        ],
        refused=[RefusedVersion(folder=r.folder, reason=r.reason) for r in registry.refused],
    )
