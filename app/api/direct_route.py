"""Requests that a route reads by itself, and what the document says of them.

FastAPI works parameters and dependencies out anew for every request, which took 160 of 780 µs.
"""

import json
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.dependencies import Limit
from app.auth.api_keys import Access
from app.batching.jobs import DisconnectedError
from app.registry.registry import Catalog

Model = TypeVar("Model", bound=BaseModel)


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request and gives the answer.

    FastAPI has a part in the document alone, and its dependencies only tell there that it takes a
    key. Whether it came is seen here.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request. Raises AccessError without a key where drawing takes one."""

        async def answer(request: Request) -> Response:
            access: Access = request.app.state.access
            access.admit(request)
            response: Response = await self.endpoint(request)
            return response

        return answer


class Surroundings(NamedTuple):
    """What a route needs beside its parameters."""

    catalog: Catalog
    limit: Limit
    accept: str | None


def surroundings(request: Request) -> Surroundings:
    """What ``app.api.dependencies`` gives to routes that ask for it one by one."""
    state = request.app.state
    accept = ", ".join(request.headers.getlist("accept")) or None
    return Surroundings(state.catalog, Limit(state.settings.max_images), accept)


def query(request: Request, model: type[Model]) -> Model:
    """The query as a ``model`` without lists. Raises RequestValidationError, as FastAPI does."""
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise _invalid(error, "query", None) from error


async def body(request: Request, model: type[Model]) -> Model | None:
    """The body, of JSON, as a ``model``; None without one.

    Raises RequestValidationError too, and DisconnectedError where the body ends early.
    """
    try:
        content = await request.body()
    except ClientDisconnect as error:
        raise DisconnectedError from error
    if not content:
        return None
    told = _json(content) if _is_json(request) else content
    if told is None:
        return None
    try:
        return model.model_validate(told)
    except ValidationError as error:
        raise _invalid(error, "body", told) from error


def described(query: type[BaseModel], body: type[BaseModel]) -> dict[str, Any]:
    """A route's ``openapi_extra``: what FastAPI says of one that names both in its signature."""
    example = FastAPI()

    @example.post("/")
    async def _(
        query: Annotated[query, Query()],  # type: ignore[valid-type]
        body: body | None = None,  # type: ignore[valid-type]
    ) -> None: ...

    operation = example.openapi()["paths"]["/"]["post"]
    return {part: operation[part] for part in ("parameters", "requestBody")}


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    family, _, name = media_type.partition("/")
    return family == "application" and (name == "json" or name.endswith("+json"))


def _json(content: bytes) -> object:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg}
        raise RequestValidationError([problem], body=error.doc) from error
    except (ValueError, RecursionError) as error:  # no text, a number of thousands of digits
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error


def _invalid(error: ValidationError, place: str, told: object) -> RequestValidationError:
    problems = [{**one, "loc": (place, *one["loc"])} for one in error.errors(include_url=False)]
    return RequestValidationError(problems, body=told)
