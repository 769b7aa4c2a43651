"""Routes that parse their requests themselves; the most called are found ahead of FastAPI.

FastAPI's search for a route, and its resolution of parameters and dependencies, took a third of the
time of a request. It still describes these routes in the OpenAPI document, and answers everything
else at their paths, such as other methods.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import json_text, openapi, query_lists
from app.api.bodies import EditBody
from app.api.dependencies import Handler, check_key, checked_first, services_of
from app.api.json_text import TooManyPartsError
from app.api.optional_parameters import query_without_defaults
from app.api.points import MAX_NUMBERS, MAX_ROWS
from app.batching.jobs import DisconnectedError
from app.middleware.request_context import context_of

Model = TypeVar("Model", bound=BaseModel)
Path = TypeVar("Path", bound=BaseModel)
ErrorHandlers = Mapping[Any, Any]
"""Starlette's: makes the response to an error by its class."""

_BYTES_PER_BYTE = 10
"""Memory in bytes for each byte of a body: JSON as text, as objects, and validated."""
REMEMBERED, SHORT = 1024, 256
"""How many parsed queries are remembered, and the most bytes of each."""


class RefusedParametersError(RequestValidationError):
    """Parameters that models refuse, by which the response says what is allowed."""

    def __init__(
        self, errors: list[Any], models: Mapping[str, type[BaseModel]], body: object = None
    ) -> None:
        """``errors`` are pydantic's; ``models`` are by place: path, query or body."""
        super().__init__(errors, body=body)
        self.models = models


class DirectRoute(APIRoute):
    """A route whose endpoint takes a Request and returns a Response.

    FastAPI documents the dependencies of such a route but does not call them.
    """

    needs_key: ClassVar = False
    """Whether only clients with an API key get a response, if the server has any."""

    def get_route_handler(self) -> Handler:
        """The endpoint."""
        return self.endpoint


class DirectKeyRoute(DirectRoute):
    """A direct route for clients with an API key, if the server has any."""

    needs_key = True

    def get_route_handler(self) -> Handler:
        """The endpoint, after ``check_key``."""
        return checked_first(check_key, super().get_route_handler())


class DirectRoutes:
    """ASGI app that answers the requests for direct routes, and passes all others on."""

    def __init__(self, app: ASGIApp, errors: ErrorHandlers, routers: Iterable[APIRouter]) -> None:
        """``errors`` are the application's; ``routers`` have the routes."""
        self._app, self._errors = app, errors
        self._literal: dict[tuple[str, str], DirectRoute] = {}
        self._templates: dict[str, list[DirectRoute]] = {}
        """The routes with parameters in their paths, by method."""
        for route in (route for router in routers for route in router.routes):
            if not isinstance(route, DirectRoute):
                continue
            for method in route.methods or ():
                if route.param_convertors:
                    self._templates.setdefault(method, []).append(route)
                    continue
                self._literal[method, route.path] = route
                if method == "GET":  # the web server leaves out the content
                    self._literal["HEAD", route.path] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or pass it on."""
        route = None if scope["type"] != "http" else self._route(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive)
        try:
            if route.needs_key:
                check_key(request)
            response = await route.endpoint(request)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind in self._errors)
            response = await self._errors[kind](request, error)
            await response(scope, receive, send)
            if kind is Exception:
                raise  # the web server logs it
        else:
            await response(scope, receive, send)

    def _route(self, scope: Scope) -> DirectRoute | None:
        """The route of a request, whose path parameters go into ``scope``; None if it has none."""
        method, path = scope["method"], scope["path"]
        if route := self._literal.get((method, path)):
            return route
        for route in self._templates.get(method, ()):
            if found := route.path_regex.match(path):
                scope["path_params"] = found.groupdict()
                return route
        return None


def parse(request: Request, path: type[Path], query: type[Model]) -> tuple[Path, Model]:
    """The parameters in the path and the query. Raises RefusedParametersError.

    The query must not be changed: equal requests share it.
    """
    try:
        found = path.model_validate(request.path_params)
    except ValidationError as error:
        refused = _errors(error, "path")
        try:
            parse_query(request, query)
        except RefusedParametersError as other:
            refused += other.errors()
        raise RefusedParametersError(refused, {"path": path, "query": query}) from error
    return found, parse_query(request, query)


def parse_query(request: Request, model: type[Model]) -> Model:
    """The query as a ``model``.

    Raises RefusedParametersError, or ParameterError if a parameter is given twice.
    The result must not be changed: equal requests share it.
    """
    query: bytes = request.scope["query_string"]
    return _remembered(model, query) if len(query) <= SHORT else query_of(model, query)


def query_of(model: type[Model], query: bytes) -> Model:
    """``query`` as a ``model``. Raises as ``parse_query``."""
    values = QueryParams(query)
    query_lists.check_repeated(values, model)
    lists = {name: values.getlist(name) for name in query_lists.lists(model) if name in values}
    try:
        return model.model_validate({**values, **lists})
    except ValidationError as error:
        raise RefusedParametersError(_errors(error, "query"), {"query": model}) from error


_remembered = lru_cache(REMEMBERED)(query_of)


async def parse_body(request: Request, model: type[Model]) -> Model | None:
    """The JSON body, which may have latents, as a ``model``; None without any content.

    Raises RefusedParametersError, ParameterError if a name occurs twice in an object, HTTPException
    if the body is not UTF-8, OverloadedError or DeadlineError if it is long and the server is busy,
    and DisconnectedError if it is incomplete.
    """
    try:
        content = await request.body()
    except ClientDisconnect as error:
        raise DisconnectedError from error
    if not content:
        return None
    parse = partial(_parsed, content, _is_json(request), model)
    if len(content) <= json_text.INLINE_BYTES:
        return parse()
    encoders, claim = services_of(request).encoders, context_of(request.scope).claim()
    return await encoders.run(parse, _BYTES_PER_BYTE * len(content), claim)


def _parsed(content: bytes, is_json: bool, model: type[Model]) -> Model:
    """``content`` as a ``model``. Raises RefusedParametersError, ParameterError, HTTPException."""
    received: object = content
    if is_json:
        try:
            received = json_text.load(content, MAX_NUMBERS, MAX_ROWS)
        except (json.JSONDecodeError, TooManyPartsError) as error:
            problem = {"type": "json_invalid", "loc": ("body",), "msg": str(error)}
            raise RefusedParametersError([problem], {"body": model}, content) from error
        except (ValueError, RecursionError) as error:
            # It is not UTF-8, or has a number of thousands of digits.
            raise HTTPException(HTTPStatus.BAD_REQUEST) from error
    try:
        return model.model_validate(received)
    except ValidationError as error:
        raise RefusedParametersError(_errors(error, "body"), {"body": model}, received) from error


def description(
    query: type[BaseModel],
    body: type[EditBody] | None = None,
    *,
    path: type[BaseModel] | None = None,
) -> dict[str, Any]:
    """The ``openapi_extra`` of a route with these parameters, as FastAPI would describe them.

    With ``body`` they may be in the query or in the body.
    """
    described = FastAPI()

    @described.get("/")
    async def _(query: Annotated[query, Query()]) -> None: ...  # type: ignore[valid-type]

    operation = described.openapi()["paths"]["/"]["get"]
    in_path = path.model_json_schema()["properties"].items() if path else ()
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema,
            "description": schema["description"],
        }
        for name, schema in in_path
    ]
    found = {"parameters": [*parameters, *operation.get("parameters", [])]}
    if body is None:
        return found
    query_without_defaults(found["parameters"])
    for parameter in found["parameters"]:
        parameter["schema"].pop("example", None)  # the body has an example
    return {**found, **openapi.json_body(body, body.example, required=needs_body(body))}


def needs_body(model: type[BaseModel]) -> bool:
    """Whether a parameter of ``model`` is required."""
    return any(field.is_required() for field in model.model_fields.values())


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    family, _, name = media_type.partition("/")
    return family == "application" and (name == "json" or name.endswith("+json"))


def _errors(error: ValidationError, place: str) -> list[Any]:
    return [{**one, "loc": (place, *one["loc"])} for one in error.errors(include_url=False)]
