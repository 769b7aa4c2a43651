"""``GET /metrics``: what Prometheus reads."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from app.observability.metrics import MEDIA_TYPE, Metrics

router = APIRouter(tags=["health"])


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


_TEXT = {"schema": {"type": "string"}}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "The figures", "content": {"text/plain": _TEXT}}},
)
async def metrics(seen: Annotated[Metrics, Depends(_metrics)]) -> Response:
    """Tell what was counted since the server started, by all its workers, for Prometheus."""
    seen.sample()
    return Response(await asyncio.to_thread(seen.text), media_type=MEDIA_TYPE)
