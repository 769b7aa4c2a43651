"""Errors as answers: ``application/problem+json``, or what the Open Inference Protocol has."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from app.api.allowed import Schema, told, within, words
from app.batching.jobs import DisconnectedError
from app.errors import (
    MEDIA_TYPE,
    AppError,
    Offence,
    OverloadedError,
    ParameterError,
    Problem,
    offence,
    refusal,
)
from app.observability import request_stats

logger = logging.getLogger(__name__)

_BODY = "a JSON object, sent as application/json"
# A body may hold any number of unknown parameters; nobody reads a longer list of them.
_MOST = 16
# Common in the logs of web servers, of which nginx was the first: the client closed the connection.
_LEFT = 499


def install(app: FastAPI) -> None:
    """Let every error of ``app``, foreseen or not, be answered with a Problem."""

    @app.exception_handler(AppError)
    async def foreseen(request: Request, error: AppError) -> JSONResponse:
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            logger.error("request %s: %s", getattr(request.state, "request_id", "-"), error.detail)
        request_stats.current().refused = error.refusal
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE and isinstance(error, OverloadedError):
            request.app.state.gate.shut(request.scope, error)
        path = request.url.path
        return answer(path, error.status, error.detail, error.errors, error.headers)

    @app.exception_handler(DisconnectedError)
    async def left(_: Request, __: DisconnectedError) -> Response:
        return Response(status_code=_LEFT)  # for the log; nobody reads it

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()[:_MOST]
        refused = [_refused(request, problem, error.body) for problem in problems]
        # Several wrong values of one list are one wrong parameter.
        told_once = {(one.place, one.parameter): one for one in refused}
        return await foreseen(request, refusal(*told_once.values()))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            return await foreseen(request, _unreadable(error))
        status, headers = HTTPStatus(error.status_code), _headers(request, error)
        detail = f"{request.method} {request.url.path}: {error.detail}"
        if "Allow" in headers:
            detail += f"; allowed: {headers['Allow']}"
        return answer(request.url.path, status, detail, headers=headers)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, _: Exception) -> JSONResponse:
        # Starlette raises the error again behind this answer; the web server logs its trace.
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        return answer(request.url.path, status, "the server failed; its log says why")


def speaks_v2(path: str) -> bool:
    """Whether ``path`` belongs to the Open Inference Protocol, whose errors have its own form."""
    return path == "/v2" or path.startswith("/v2/")


def answer(
    path: str,
    status: HTTPStatus,
    detail: str,
    errors: list[Offence] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A Problem with a request for ``path``, or what the Open Inference Protocol has instead."""
    if speaks_v2(path):
        return JSONResponse({"error": detail}, status, headers)
    problem = Problem(
        title=status.phrase,
        status=status,
        detail=detail,
        instance=path,
        errors=errors or [],
    )
    body = problem.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def _headers(request: Request, error: HTTPException) -> dict[str, str]:
    """Those of ``error``; but ``Allow`` is for all routes at a path (RFC 9110, section 10.2.1)."""
    headers = dict(error.headers or {})
    if "Allow" in headers:
        path = getattr(request.scope.get("route"), "path_format", None)
        documented = request.app.openapi()["paths"].get(path, {})
        methods = {*headers["Allow"].split(", "), *map(str.upper, documented)}
        headers["Allow"] = ", ".join(sorted(methods))
    return headers


def _unreadable(error: HTTPException) -> AppError:
    """Why FastAPI could not read a body: the only thing that it calls a bad request."""
    if isinstance(error.__cause__, AppError):
        return error.__cause__
    refused = offence("body", "body", None, _BODY)
    return ParameterError(f"body cannot be read but must be {_BODY}", [refused])


def _refused(request: Request, problem: dict[str, Any], body: object) -> Offence:
    """FastAPI's account of a refused parameter, with what the OpenAPI document allows there."""
    place, *path = map(str, problem["loc"])
    if place == "body" and (not path or problem["type"] == "json_invalid"):
        return offence("body", place, told(body), _BODY)
    schema, components = _schemas(request, place)
    if problem["type"] == "extra_forbidden":
        allowed = _belonging(request, place, path)
        return offence(_name(path), place, told(problem["input"]), allowed)
    if place == "query":
        path = path[:1]  # a list is one parameter, whichever of its values is wrong
    try:
        found = within(schema, path, components)
    except KeyError:
        return offence(_name(path), place, told(problem["input"]), problem["msg"])
    # Of a missing parameter FastAPI gives all the others as its input.
    value = None if problem["type"] == "missing" else problem["input"]
    if listed := place == "query" and found["type"] == "array":
        value = ",".join(request.query_params.getlist(path[0]))
    allowed = words(found, separated=listed)
    if problem["type"] == "value_error":  # what no schema can say
        allowed += f"; {problem['ctx']['error']}"
    return offence(_name(path), place, told(value), allowed)


def _schemas(request: Request, place: str) -> tuple[Schema, Schema]:
    """The schema of all that the route takes in ``place``, and those that it refers to."""
    document = request.app.openapi()
    route = request.scope["route"].path_format
    operation = document["paths"][route][request.method.lower()]
    components = document["components"]["schemas"]
    if place == "body":
        return operation["requestBody"]["content"]["application/json"]["schema"], components
    listed = operation.get("parameters", [])
    return {"properties": {p["name"]: p["schema"] for p in listed if p["in"] == place}}, components


def _belonging(request: Request, place: str, path: list[str]) -> str:
    """What is to become of a parameter that the route does not take in ``place``."""
    other = {"body": "query", "query": "body"}[place]
    schema, components = _schemas(request, place)
    try:
        within(_schemas(request, other)[0], path, components)
    except KeyError:
        names = ", ".join(within(schema, [], components)["properties"]) or "in the body"
        return f"left out: the parameters here are {names}"
    return f"sent in the {other}"


def _name(path: list[str]) -> str:
    return str(told(".".join(path)))
