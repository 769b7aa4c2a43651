"""``GET /health/…``: liveness and readiness for load balancers and orchestrators."""

from fastapi import APIRouter

from app.api import openapi
from app.api.dependencies import CurrentRegistry, RequiresReady
from app.api.schemas import Live, Ready, ReadyVersion, RefusedVersion
from app.errors import NotReadyError

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Live:
    """Report that the process responds."""
    return Live()


@router.get("/ready", dependencies=[RequiresReady], responses=openapi.problems(NotReadyError))
async def ready(registry: CurrentRegistry) -> Ready:
    """Report what serves: 200 if the default model is in service, else 503 with the reason."""
    default = registry.find()
    return Ready(
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
        loading=[str(key) for key in sorted(registry.loading)],
        refused=[RefusedVersion(folder=r.folder, reason=r.reason) for r in registry.refused],
    )
