"""``POST /v2/models/…/infer``: latents and classes in, pixels out, as tensors."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator

from app.api import json_text, openapi
from app.api.content_negotiation import JSON
from app.api.dependencies import KeyRoute
from app.api.drawing import Route, RouteContext
from app.api.drawn import Drawn, Generation
from app.api.endpoints import Access, Endpoints
from app.api.numbers import decimal
from app.api.responses import timing
from app.api.v2 import tensors
from app.api.v2.models import DefaultVersion, ExactVersion
from app.api.v2.tensors import Body, InferenceRequest, InferenceResponse, Inputs, TensorError
from app.artifact.card import Card
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
from app.middleware import body_limit, content_coding
from app.middleware.content_coding import IDENTITY, Coding
from app.middleware.encoders import SMALL_BYTES, Encoders
from app.middleware.endpoint_traits import EndpointTraits
from app.registry.draw_options import DEFAULT
from app.registry.model_version import ModelVersion

ENDPOINTS = Endpoints(
    APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=KeyRoute),
    access=Access.WITH_KEY,
    traits=EndpointTraits(longest_body=None, pays="first"),
)
router = ENDPOINTS.router

_INLINE_BYTES = 2**18
"""Writing a body of this length takes less time than waking a thread."""
LONGEST_WHOLE = 2**24
"""Bytes. Longer bodies are sent in pieces, which are not compressed."""
_BYTES_PER_BYTE = 12
"""Memory in bytes for each byte of a request body: as text, as objects, validated, as array."""

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
_ZEROS = {"name": "latents", "datatype": "FP32", "shape": [1, 64], "data": [0.0] * 64}
_BODY = openapi.tensor_body(InferenceRequest, {"inputs": [_ZEROS]})


class Inference:
    """One inference request. Its body is read late, as the body's bound depends on the version."""

    def __init__(self, request: Request, route: RouteContext, json_length: int | None) -> None:
        """``json_length``: bytes of JSON before binary tensors; None if all of the body is JSON."""
        self._request, self._route, self._json_length = request, route, json_length

    async def run(self, version: ModelVersion) -> Response:
        """The response of ``version``.

        Raises ParameterError, BodyTooLargeError, and the errors of ``Drawing.draw``.
        """
        services, context = self._route.services, self._route.request
        parsed, inputs = await self._read(version.card)
        count, conditions = len(inputs.latents), inputs.conditions
        if conditions is None:
            conditions = version.typical_conditions(count)
        rows = version.rows(inputs.latents, conditions)
        # The pixels are encoded as they are.
        claim = services.admission.admit(context, version, count, count)
        generation = Generation(version, DEFAULT, context.stats, services.encoders)
        return await _response(parsed, await generation.images(rows, claim, count))

    async def _read(self, card: Card) -> tuple[InferenceRequest, Inputs]:
        """The request and its inputs; a long or compressed body is parsed on a thread."""
        services = self._route.services
        most = tensors.most_images(card, services.settings.max_images)
        longest = tensors.longest(card, most)
        coding = content_coding.coding(self._request.headers.getlist("content-encoding"))
        body = await body_limit.read(self._request, longest)
        parse = partial(self._parsed, body, coding, card, most)
        if coding == IDENTITY and len(body) <= json_text.INLINE_BYTES:
            return parse()
        length = len(body) if coding == IDENTITY else longest
        claim = self._route.request.claim()
        return await services.encoders.run(parse, _BYTES_PER_BYTE * length, claim)

    def _parsed(
        self, body: bytes, coding: Coding, card: Card, most: int
    ) -> tuple[InferenceRequest, Inputs]:
        """The request in ``body`` and its inputs. Raises ParameterError or BodyTooLargeError."""
        body = body_limit.decompressed(body, coding, tensors.longest(card, most))
        try:
            parsed = tensors.parse(body, self._json_length, *tensors.size(card, most))
            tail = memoryview(body)[len(body) if self._json_length is None else self._json_length :]
            return parsed, tensors.inputs(parsed, tail, card, most)
        except TensorError as error:
            raise ParameterError(str(error)) from error


async def _response(parsed: InferenceRequest, drawn: Drawn) -> Response:
    """The response to a request. A large one is sent in pieces and is never whole in memory."""
    body = tensors.response(parsed, drawn.version.card, drawn.pixels)
    content = await _whole(body, drawn) if body.length <= LONGEST_WHOLE else None
    headers = {"X-Model": str(drawn.version.key), "Server-Timing": timing(drawn)}
    media_type = JSON
    if body.json_length is not None:
        headers[_HEADER], media_type = str(body.json_length), openapi.OCTET_STREAM
    if content is not None:
        return Response(content, media_type=media_type, headers=headers)
    headers["Content-Length"] = str(body.length)
    pieces = _pieces(body, drawn.encoders)
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


async def _whole(body: Body, drawn: Drawn) -> bytes:
    if body.length <= _INLINE_BYTES:
        return b"".join(body.pieces)
    return await drawn.encode(lambda: b"".join(body.pieces), 2 * body.length)


async def _pieces(body: Body, encoders: Encoders) -> AsyncIterator[bytes]:
    """The pieces of ``body``, each encoded on a thread once the one before has been sent."""
    while (piece := await encoders.run(lambda: next(body.pieces, None), SMALL_BYTES)) is not None:
        yield piece


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
        BeforeValidator(decimal),
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
async def infer(version: DefaultVersion, inference: Received) -> Response:
    """Generate images from latents: `latents` FP32 `[n, width]` in, `pixels` UINT8 out.

    Conditional models have an optional second input, `classes` FP32 `[n, k]`: weights of classes,
    which are scaled to sum to one, or attributes from 0 to 1. Without it, all images have the most
    frequent class or attributes.

    Tensors are numbers in JSON, or binary data after the JSON (binary tensor extension), in both
    directions. The model's default version is used.
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
