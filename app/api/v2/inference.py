"""``POST /v2/models/…/infer``: latents in, pixels out, as tensors."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from app.api import openapi
from app.api.content_negotiation import JSON
from app.api.dependencies import ImageLimit
from app.api.responses import timing
from app.api.v2 import tensors
from app.api.v2.models import Exact, Highest
from app.api.v2.tensors import InferenceRequest, InferenceResponse, TensorError
from app.errors import (
    ClosedError,
    EngineError,
    LateError,
    NotFoundError,
    OverloadedError,
    OverRateError,
    OverShareError,
    ParameterError,
    TooLargeError,
)
from app.middleware import body_limit
from app.registry.model_version import Served

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_AT_ONCE = 2**16
"""So many numbers are written as text sooner than a thread is woken and heard of."""

_HEADER = "Inference-Header-Content-Length"
_RESPONSES = {
    **openapi.tensors("The pixels: JSON, or JSON and binary where that is asked for", _HEADER),
    **openapi.protocol_errors(
        NotFoundError,
        TooLargeError,
        ParameterError,
        OverShareError,
        OverRateError,
        EngineError,
        OverloadedError,
        ClosedError,
        LateError,
    ),
}
_BODY = openapi.tensor_body(InferenceRequest)


class Tensors:
    """The tensors of one request."""

    def __init__(self, request: Request, most: int, header: int | None) -> None:
        """Of at most ``most`` images. ``header`` is the length of its JSON; none for all of it."""
        self._request, self._most, self._header = request, most, header

    async def drawn_by(self, served: Served) -> Response:
        """The answer of ``served``; raises ParameterError, TooLargeError, or as ``draw`` does."""
        card = served.card
        body = await body_limit.read(self._request, tensors.longest(card, self._most))
        try:
            asked = tensors.read(body, self._header)
            tail = memoryview(body)[len(body) if self._header is None else self._header :]
            rows = tensors.latents(asked, tail, card, self._most)
        except TensorError as error:
            raise ParameterError(str(error)) from error
        drawn = await served.draw(rows)
        if asked.binary or drawn.pixels.size <= _AT_ONCE:
            content, head = tensors.answer(asked, card, drawn.pixels)
        else:
            content, head = await asyncio.to_thread(tensors.answer, asked, card, drawn.pixels)
        headers = {"X-Model": served.title, "Server-Timing": timing(drawn)}
        if head is None:
            return Response(content, media_type=JSON, headers=headers)
        return Response(content, media_type=openapi.OCTETS, headers={**headers, _HEADER: str(head)})


async def _tensors(
    request: Request,
    limit: ImageLimit,
    header: Annotated[
        int | None,
        Header(
            alias=_HEADER,
            ge=0,
            le=2**31 - 1,
            description="how long the JSON is that binary tensors follow; left out without any",
        ),
    ] = None,
) -> Tensors:
    return Tensors(request, limit.most, header)


Sent = Annotated[Tensors, Depends(_tensors)]


@router.post(
    "/models/{model}/infer",
    response_model=InferenceResponse,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def infer(served: Highest, tensors: Sent) -> Response:
    """Draw the images of latents: `latents` FP32 `[n, width]` in, `pixels` UINT8 out.

    Tensors are numbers in JSON, or follow the JSON as they are (binary tensor extension), in and
    out. The model draws in its highest version.
    """
    return await tensors.drawn_by(served)


@router.post(
    "/models/{model}/versions/{version}/infer",
    response_model=InferenceResponse,
    responses=_RESPONSES,
    openapi_extra=_BODY,
)
async def infer_version(served: Exact, tensors: Sent) -> Response:
    """The same by one version."""
    return await tensors.drawn_by(served)
