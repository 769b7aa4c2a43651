"""``GET /metrics``: metrics for Prometheus."""

from fastapi import APIRouter, Response

from app.api.dependencies import CurrentServices
from app.api.endpoints import Endpoints
from app.observability.metrics import MEDIA_TYPE

ENDPOINTS = Endpoints(APIRouter(tags=["health"]))
router = ENDPOINTS.router

_TEXT = {"schema": {"type": "string"}}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "The metrics", "content": {"text/plain": _TEXT}}},
)
async def metrics(services: CurrentServices) -> Response:
    """Return the metrics of all workers since the server started, in Prometheus's text format."""
    return Response(await services.metrics.current_text(), media_type=MEDIA_TYPE)
