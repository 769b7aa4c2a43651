"""Routes that parse their request themselves, and how the OpenAPI document describes them.

FastAPI's resolution of parameters and dependencies took 160 of the 780 µs of a request.
"""

import json
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api import json_text
from app.api.dependencies import Handler, check_key, checked_first, services_of
from app.api.json_text import TooManyPartsError
from app.batching.jobs import DisconnectedError
from app.middleware.request_context import context_of

Model = TypeVar("Model", bound=BaseModel)

_BYTES_PER_BYTE = 10
"""Memory in bytes for each byte of a body: JSON as text, as objects, and validated."""


class DirectRoute(APIRoute):
    """A route that generates images and whose endpoint takes a Request and returns a Response.

    FastAPI documents the dependencies of such a route but does not call them, so the API key is
    checked here.
    """

    def get_route_handler(self) -> Handler:
        """The endpoint, after ``check_key``."""
        return checked_first(check_key, self.endpoint)


def parse_query(request: Request, model: type[Model]) -> Model:
    """The query as a ``model`` without lists. Raises RequestValidationError, as FastAPI does."""
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise _invalid(error, "query", None) from error


async def parse_body(
    request: Request, model: type[Model], numbers: int = 0, rows: int = 0
) -> Model | None:
    """The JSON body as a ``model``; None without a body.

    The body may hold a matrix of ``rows`` and ``numbers``, see ``json_text.load``. Raises
    RequestValidationError as well, HTTPException if the body is not UTF-8, OverloadedError or
    DeadlineError if it is long and the server is busy, and DisconnectedError if it is incomplete.
    """
    try:
        content = await request.body()
    except ClientDisconnect as error:
        raise DisconnectedError from error
    if not content:
        return None
    parse = partial(_parsed, content, _is_json(request), model, numbers, rows)
    if len(content) <= json_text.INLINE_BYTES:
        return parse()
    encoders, claim = services_of(request).encoders, context_of(request.scope).claim()
    return await encoders.run(parse, _BYTES_PER_BYTE * len(content), claim)


def _parsed(
    content: bytes, is_json: bool, model: type[Model], numbers: int, rows: int
) -> Model | None:
    """``content`` as a ``model``; None for ``null``. Raises RequestValidationError."""
    received: object = content
    if is_json:
        try:
            received = json_text.load(content, numbers, rows)
        except (json.JSONDecodeError, TooManyPartsError) as error:
            problem = {"type": "json_invalid", "loc": ("body",), "msg": str(error)}
            raise RequestValidationError([problem], body=content) from error
        except (ValueError, RecursionError) as error:
            # It is not UTF-8, or has a number of thousands of digits.
            raise HTTPException(HTTPStatus.BAD_REQUEST) from error
    if received is None:
        return None
    try:
        return model.model_validate(received)
    except ValidationError as error:
        raise _invalid(error, "body", received) from error


def description(query: type[BaseModel], body: type[BaseModel]) -> dict[str, Any]:
    """The ``openapi_extra`` of a route with these parameters, as FastAPI would describe them."""
    described = FastAPI()

    @described.post("/")
    async def _(
        query: Annotated[query, Query()],  # type: ignore[valid-type]
        body: body | None = None,  # type: ignore[valid-type]
    ) -> None: ...

    operation = described.openapi()["paths"]["/"]["post"]
    return {part: operation[part] for part in ("parameters", "requestBody")}


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    family, _, name = media_type.partition("/")
    return family == "application" and (name == "json" or name.endswith("+json"))


def _invalid(error: ValidationError, place: str, received: object) -> RequestValidationError:
    problems = [{**one, "loc": (place, *one["loc"])} for one in error.errors(include_url=False)]
    return RequestValidationError(problems, body=received)
