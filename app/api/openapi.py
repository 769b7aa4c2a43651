"""How the OpenAPI document describes answers that FastAPI cannot see in a signature."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.content_negotiation import JSON, NDJSON
from app.api.parameters import GenerateBody
from app.api.problems import speaks_v2
from app.api.v2.schemas import ProtocolError
from app.api.v2.tensors import InferenceRequest
from app.errors import MEDIA_TYPE, UNREAD, AppError, LateError, Problem
from app.middleware.request_context import HEADER

Responses = dict[int | str, dict[str, Any]]

OCTETS = "application/octet-stream"


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LINES = {
    "schema": {
        "type": "string",
        "description": "lines of JSON, a Frame each; the last may be a Problem: the rest failed",
    },
    "example": '{"position":0.0,"png":"iVBORw0K…"}\n{"position":1.0,"png":"iVBORw0K…"}\n',
}
_DRAWN = {
    "X-Model": _header("what drew it, `name/version`", "fashion-mnist/2"),
    "X-Seed": _header("the first seed, where the request has any", "42"),
    "Server-Timing": _header(
        "milliseconds; `cache` for what was kept",
        "queue;dur=0.21, compute;dur=3.08, encode;dur=0.35",
    ),
}
_CACHED = {
    "ETag": _header("the name of these very bytes", '"c6c379c99d237e887e03a24c4b424104"'),
    "Cache-Control": _header(
        "for ever; `private` where drawing takes a key", "public, max-age=31536000, immutable"
    ),
}
_RETRY = {"Retry-After": _header("seconds, where it is known", "1")}
_RETRIED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
IF_NONE_MATCH = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "the `ETag` of what the client has",
            "schema": {"type": "string"},
        }
    ]
}
_COMPONENT = "#/components/schemas/{model}"
_ANSWER = "#/components/responses/{name}"


def pictures(media_types: Sequence[str], description: str) -> Responses:
    """A 200 answer in any of ``media_types``; JSON's schema is the route's response model."""
    content = {name: _LINES if name == NDJSON else _BINARY for name in media_types if name != JSON}
    return {200: {"description": description, "content": content, "headers": _DRAWN}}


def kept(*media_types: str) -> Responses:
    """A 200 answer in any of ``media_types`` that may be cached for ever, or 304 to who has it."""
    found = pictures(media_types, "The image")
    found[200]["headers"] = {**_DRAWN, **_CACHED}
    had = "The client has it: `If-None-Match` names it"
    return {**found, 304: {"description": had, "headers": _CACHED}}


def tensors(description: str, header: str) -> Responses:
    """A 200 answer in JSON, of the route's response model, or in JSON and what follows it."""
    length = {"description": "how long the JSON is", "schema": {"type": "integer", "minimum": 0}}
    content = {OCTETS: _BINARY}
    return {200: {"description": description, "content": content, "headers": {header: length}}}


def tensor_body(model: type[BaseModel]) -> dict[str, Any]:
    """A route's body of the same two forms, which the route reads itself."""
    schema = {"$ref": _COMPONENT.format(model=model.__name__)}
    content = {JSON: {"schema": schema}, OCTETS: _BINARY}
    return {"requestBody": {"required": True, "content": content}}


def problems(*errors: type[AppError]) -> Responses:
    """The error answers of a route, with an example of each."""
    return _refusals(errors, MEDIA_TYPE, Problem, _example)


def protocol_errors(*errors: type[AppError]) -> Responses:
    """The same below ``/v2``."""
    return _refusals(errors, JSON, ProtocolError, lambda error: {"error": error.example})


def _refusals(
    errors: Sequence[type[AppError]],
    media_type: str,
    model: type[BaseModel],
    example: Callable[[type[AppError]], dict[str, Any]],
) -> Responses:
    answers: Responses = {}
    for error in errors:
        description = (error.__doc__ or "").partition("\n")[0]
        answer = answers.setdefault(error.status.value, {"description": "", "content": {}})
        if error.status in _RETRIED:
            answer["headers"] = _RETRY
        answer["description"] = f"{answer['description']} {description}".strip()
        schema = {"$ref": _COMPONENT.format(model=model.__name__)}
        content = answer["content"].setdefault(media_type, {"schema": schema, "examples": {}})
        content["examples"][error.__name__] = {"summary": description, "value": example(error)}
    return answers


def _example(error: type[AppError]) -> dict[str, Any]:
    problem = Problem(
        title=error.status.phrase, status=error.status, detail=error.example, instance="/…"
    )
    return problem.model_dump(mode="json", by_alias=True)


def install(app: FastAPI, timeout: float) -> None:
    """Let ``app``'s document define what no signature names, and separate lists by commas.

    Requests may wait ``timeout`` seconds at most.
    """
    generate = app.openapi
    _, unnamed = models_json_schema(
        [
            (Problem, "serialization"),
            (ProtocolError, "serialization"),
            (InferenceRequest, "validation"),
            (GenerateBody, "validation"),
        ],
        ref_template=_COMPONENT,
    )

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = generate()
        document["components"]["schemas"].update(unnamed["$defs"])
        for path in document["paths"].values():
            for operation in path.values():
                _complete(operation, timeout)
        _refuse_unread(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], timeout: float) -> None:
    """Say how parameters are written, and what may be said of time."""
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        # FastAPI says so of all that may be left out; but nothing in a URL or a header means null.
        if "anyOf" in schema:
            (sent,) = (one for one in schema.pop("anyOf") if one.get("type") != "null")
            schema.update(sent)
        if schema.get("type") == "array":
            parameter.update(style="form", explode=False)
    if str(LateError.status.value) in operation["responses"]:
        waiting = {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "seconds after which the client has no use for the answer",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": timeout},
        }
        operation.setdefault("parameters", []).append(waiting)


def _refuse_unread(document: dict[str, Any]) -> None:
    """Say what any request may be answered before anybody has read it."""
    forms = {Problem: problems(*UNREAD), ProtocolError: protocol_errors(*UNREAD)}
    shared = document["components"]["responses"] = {}
    for path, operations in document["paths"].items():
        model = ProtocolError if speaks_v2(path) else Problem
        for operation in operations.values():
            answers = operation["responses"]
            for status, answer in forms[model].items():
                if own := answers.get(str(status)):
                    _join(own, answer)
                    continue
                name = f"{model.__name__}{status}"
                shared[name] = answer
                answers[str(status)] = {"$ref": _ANSWER.format(name=name)}
            operation["responses"] = dict(sorted(answers.items()))


def _join(answer: dict[str, Any], other: dict[str, Any]) -> None:
    """Let ``answer`` tell of what ``other`` does, too."""
    answer["description"] += f" {other['description']}"
    for media_type, content in other["content"].items():
        answer["content"][media_type]["examples"].update(content["examples"])
