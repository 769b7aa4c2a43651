"""``GET /health/…``: for load balancers and for people who wonder."""

from fastapi import APIRouter

from app.api import openapi
from app.api.dependencies import Healthy, InService
from app.api.schemas import Live, Ready, ReadyVersion, RefusedVersion
from app.errors import NotReadyError

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Live:
    """The process answers."""
    return Live()


@router.get("/ready", dependencies=[Healthy], responses=openapi.problems(NotReadyError))
async def ready(catalog: InService) -> Ready:
    """The default model is in service: 200 with what really runs, or 503 with the reason."""
    default = catalog.find()
    return Ready(
        model=default.card.name,
        version=default.card.version,
        provider=default.engine.provider,
        precision=default.engine.precision,
        models=[
            ReadyVersion(
                model=served.card.name,
                version=served.card.version,
                provider=served.engine.provider,
                precision=served.engine.precision,
            )
            for served in catalog
        ],
        refused=[RefusedVersion(folder=r.folder, reason=r.reason) for r in catalog.refused],
    )
