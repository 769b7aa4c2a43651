"""``POST /v2/models/…/infer``: latents in, pixels out, as tensors."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from app.api import openapi
from app.api.content_negotiation import JSON
from app.api.drawing import Drawing, Route, RouteContext
from app.api.responses import timing
from app.api.v2 import tensors
from app.api.v2.models import ExactVersion, HighestVersion
from app.api.v2.tensors import InferenceRequest, InferenceResponse, TensorError
from app.errors import (
    BodyTooLargeError,
    DeadlineError,
    EngineError,
    NotFoundError,
    OverloadedError,
    ParameterError,
    QueueShareError,
    RateLimitError,
    ShuttingDownError,
)
from app.middleware import body_limit
from app.registry.draw_options import DEFAULT
from app.registry.model_version import ModelVersion

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_INLINE_NUMBERS = 2**16
"""Writing this many numbers as text takes less time than waking a thread."""

_HEADER = "Inference-Header-Content-Length"
_RESPONSES = {
    **openapi.tensors("The pixels: JSON, or JSON and binary data on request", _HEADER),
    **openapi.protocol_errors(
        NotFoundError,
        BodyTooLargeError,
        ParameterError,
        QueueShareError,
        RateLimitError,
        EngineError,
        OverloadedError,
        ShuttingDownError,
        DeadlineError,
    ),
}
_BODY = openapi.tensor_body(InferenceRequest)


class Inference:
    """One inference request. Its body is read late, as the body's bound depends on the version."""

    def __init__(self, request: Request, route: RouteContext, json_length: int | None) -> None:
        """``json_length``: bytes of JSON before binary tensors; None if all of the body is JSON."""
        self._request, self._route, self._json_length = request, route, json_length

    async def run(self, version: ModelVersion) -> Response:
        """The response of ``version``.

        Raises ParameterError, BodyTooLargeError, and the errors of ``Drawing.draw``.
        """
        card, most = version.card, self._route.services.settings.max_images
        longest = body_limit.longest_with(most * card.latent.width)
        body = await body_limit.read(self._request, longest)
        try:
            parsed = tensors.parse(body, self._json_length)
            tail = memoryview(body)[len(body) if self._json_length is None else self._json_length :]
            rows = tensors.latents(parsed, tail, card, most)
        except TensorError as error:
            raise ParameterError(str(error)) from error
        admission = self._route.services.admission
        drawn = await Drawing(self._route.request, admission, version, DEFAULT).draw(rows)
        if parsed.binary or drawn.pixels.size <= _INLINE_NUMBERS:
            content, head = tensors.response(parsed, card, drawn.pixels)
        else:
            content, head = await asyncio.to_thread(tensors.response, parsed, card, drawn.pixels)
        headers = {"X-Model": str(version.key), "Server-Timing": timing(drawn)}
        if head is None:
            return Response(content, media_type=JSON, headers=headers)
        headers[_HEADER] = str(head)
        return Response(content, media_type=openapi.OCTET_STREAM, headers=headers)


async def _inference(
    request: Request,
    route: Route,
    json_length: Annotated[
        int | None,
        Header(
            alias=_HEADER,
            ge=0,
            le=2**31 - 1,
            description="bytes of JSON before binary tensors; omit it without binary tensors",
        ),
    ] = None,
) -> Inference:
    return Inference(request, route, json_length)


Received = Annotated[Inference, Depends(_inference)]


@router.post(
    "/models/{model}/infer",
    response_model=InferenceResponse,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def infer(version: HighestVersion, inference: Received) -> Response:
    """Generate images from latents: `latents` FP32 `[n, width]` in, `pixels` UINT8 out.

    Tensors are numbers in JSON, or binary data after the JSON (binary tensor extension), in both
    directions. The model's highest version is used.
    """
    return await inference.run(version)


@router.post(
    "/models/{model}/versions/{version}/infer",
    response_model=InferenceResponse,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def infer_version(version: ExactVersion, inference: Received) -> Response:
    """Generate images from latents with one version."""
    return await inference.run(version)
