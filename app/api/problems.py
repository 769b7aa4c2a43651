"""Errors as responses: ``application/problem+json``, or the formats of other protocols."""

import logging
from functools import cache
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api.content_negotiation import JSON
from app.api.direct_route import RefusedParametersError
from app.api.openai import errors as openai_errors
from app.api.parameters import MOST_ERRORS
from app.api.schema_words import Schema, within, words
from app.api.v2.schemas import is_v2
from app.batching.jobs import DisconnectedError
from app.errors import (
    MEDIA_TYPE,
    AppError,
    InvalidParameter,
    MethodError,
    NotFoundError,
    ParameterError,
    UnexpectedError,
    invalid,
    json_safe,
    parameter_error,
    problem,
)
from app.middleware.request_context import context_of

logger = logging.getLogger(__name__)

_RULE = "value_error"
"""pydantic's type of an error that a validator of ours raises."""
_BODY = "a JSON object, sent as application/json"
# Not a standard status; nginx introduced it: the client closed the connection.
_CLIENT_CLOSED = 499
_ROUTING_ERRORS: dict[int, type[AppError]] = {
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.METHOD_NOT_ALLOWED: MethodError,
}
"""Starlette raises these itself; it raises no others after 400."""


def install(app: FastAPI) -> None:
    """Turn every error of ``app``, expected or not, into a Problem."""

    @app.exception_handler(AppError)
    async def expected(request: Request, error: AppError) -> JSONResponse:
        context = context_of(request.scope)
        stats = context.stats
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("request %s: %s", stats.request_id, error.detail)
        stats.refusal_reason = error.refusal_reason
        return error_response(context.path, error)

    @app.exception_handler(DisconnectedError)
    async def disconnected(_: Request, __: DisconnectedError) -> Response:
        return Response(status_code=_CLIENT_CLOSED)  # for the log; nobody receives it

    @app.exception_handler(RequestValidationError)
    async def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        _release_frames(error)
        # The most specific reason comes last, and is the one that counts.
        problems = sorted(error.errors()[:MOST_ERRORS], key=lambda one: one["type"] == _RULE)
        refused = [_refused(request, problem, error) for problem in problems]
        # Several wrong values of one list are one wrong parameter.
        by_parameter = {(one.place, one.parameter): one for one in refused}
        return await expected(request, parameter_error(*by_parameter.values()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        _release_frames(error)
        if error.status_code == HTTPStatus.BAD_REQUEST:
            return await expected(request, _unreadable(error))
        return error_response(context_of(request.scope).path, _of_routing(request, error))

    app.exception_handler(Exception)(_unexpected)


async def _unexpected(request: Request, _: Exception) -> JSONResponse:
    # Starlette raises the error again after this response; the web server logs the traceback.
    path = context_of(request.scope).path
    return error_response(path, UnexpectedError(UnexpectedError.example))


def _release_frames(error: Exception) -> None:
    """Remove the tracebacks of an error that is answered.

    If FastAPI cannot read a body, its frame refers to the error. With the error's reference to the
    frame, the request and its body would stay in memory until the garbage collector runs.
    """
    for one in (error, error.__cause__):
        if one:
            one.__traceback__ = None


def error_response(path: str, error: AppError) -> JSONResponse:
    """The response for ``error`` of a request for ``path``.

    It is a Problem; below ``/v2`` and ``/v1`` it is the error of the protocol there.
    """
    status, detail, headers = error.status, error.detail, error.headers
    if is_v2(path):
        return JSONResponse({"error": detail}, status, headers)
    if openai_errors.is_openai(path):
        status = openai_errors.status_of(status)
        return JSONResponse(openai_errors.body(status, detail, error.errors), status, headers)
    body = problem(type(error), detail, path, error.errors).model_dump(mode="json", by_alias=True)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def _of_routing(request: Request, error: HTTPException) -> AppError:
    """The error for a path or a method that does not exist."""
    headers = _headers(request, error)
    scope = context_of(request.scope).scope
    detail = f"{scope['method']} {scope['path']}: {error.detail}"
    if "Allow" in headers:
        detail += f"; allowed: {headers['Allow']}"
    refused = _ROUTING_ERRORS[error.status_code](detail)
    refused.headers = headers
    return refused


def _headers(request: Request, error: HTTPException) -> dict[str, str]:
    """The headers of ``error``, with ``Allow`` of all routes at the path.

    RFC 9110, section 10.2.1.
    """
    headers = dict(error.headers or {})
    if "Allow" in headers:
        path = getattr(request.scope.get("route"), "path_format", None)
        documented = request.app.openapi()["paths"].get(path, {})
        methods = {*headers["Allow"].split(", "), *map(str.upper, documented)}
        if "GET" in methods:
            methods.add("HEAD")
        headers["Allow"] = ", ".join(sorted(methods))
    return headers


def _unreadable(error: HTTPException) -> AppError:
    """The error for a body that FastAPI could not read; it uses 400 for nothing else."""
    if isinstance(error.__cause__, AppError):
        return error.__cause__
    refused = invalid("body", "body", None, _BODY)
    return ParameterError(f"body cannot be read but must be {_BODY}", [refused])


def _refused(
    request: Request, problem: dict[str, Any], error: RequestValidationError
) -> InvalidParameter:
    """A validation error of ``error`` as a parameter, with what its schema allows."""
    place, *path = map(str, problem["loc"])
    is_null = problem["type"] != "missing" and problem.get("input", "") is None
    if place == "body" and (not path or problem["type"] == "json_invalid"):
        return invalid("body", place, error.body, _BODY, is_null=is_null)
    schema, components = _schemas(request, error, place)
    if problem["type"] == "extra_forbidden":
        allowed = _right_place(request, error, place, path)
        return invalid(_name(path), place, problem["input"], allowed, is_null=is_null)
    if place == "query":
        path = path[:1]  # a list is one parameter, whichever of its values is wrong
    # For a missing parameter, FastAPI reports all other parameters as the input.
    value = None if problem["type"] == "missing" else problem["input"]
    try:
        path, found = _described(schema, path, components)
        if listed := place == "query" and found.get("type") == "array":
            value = ",".join(request.query_params.getlist(path[0]))
        allowed = words(found, separated=listed)
    except KeyError:
        return invalid(_name(path), place, value, problem["msg"], is_null=is_null)
    if is_null:
        allowed += _or_absent(schema, path, components)
    elif problem["type"] == _RULE:  # a rule that JSON Schema cannot express
        allowed += f"; {problem['ctx']['error']}"
    return invalid(_name(path), place, value, allowed, is_null=is_null)


def _or_absent(schema: Schema, path: list[str], components: Schema) -> str:
    """What to do in place of sending null at ``path``."""
    parent = within(schema, path[:-1], components)
    optional = path[-1] in parent.get("properties", {}).keys() - parent.get("required", [])
    return ", or left out for its default" if optional else ""


def _described(schema: Schema, path: list[str], components: Schema) -> tuple[list[str], Schema]:
    """The path of a value, and its schema. Raises KeyError if ``schema`` has none for it.

    pydantic adds the name of an alternative to the path of a value that has several.
    """
    try:
        return path, within(schema, path, components)
    except KeyError:
        if len(path) == 1:
            raise
        return _described(schema, path[:-1], components)


def _schemas(request: Request, error: RequestValidationError, place: str) -> tuple[Schema, Schema]:
    """The schema of the parameters in ``place``, and those that it refers to.

    The model that refused them has both. For routes whose parameters FastAPI parses, and for the
    place in which nothing was refused, they are in the OpenAPI document, if that has the route.
    """
    models = error.models if isinstance(error, RefusedParametersError) else {}
    if place in models:
        schema = _schema(models[place])
        return schema, schema.get("$defs", {})
    document = request.app.openapi()
    path = document["paths"].get(request.scope["route"].path_format, {})
    operation, components = path.get(request.method.lower(), {}), document["components"]["schemas"]
    if place == "body":
        body = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
        return body.get("schema", {"properties": {}}), components
    listed = operation.get("parameters", [])
    return {"properties": {p["name"]: p["schema"] for p in listed if p["in"] == place}}, components


@cache
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _right_place(
    request: Request, error: RequestValidationError, place: str, path: list[str]
) -> str:
    """What to do with a parameter that the route does not accept in ``place``."""
    other = {"body": "query", "query": "body"}[place]
    schema, components = _schemas(request, error, other)
    try:
        within(schema, path, components)
    except KeyError:
        schema, components = _schemas(request, error, place)
        names = ", ".join(within(schema, path[:-1], components)["properties"])
        why = f"it is not one of the parameters {names}" if names else "the query has no parameters"
        return f"left out: {why}"
    return f"sent in the {other}, not in the {place}"


def _name(path: list[str]) -> str:
    return str(json_safe(".".join(path)))
