"""How the OpenAPI document describes answers that FastAPI cannot see in a signature."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.callers import HEADER
from app.errors import MEDIA_TYPE, AppError, LateError, Problem
from app.inference import InferenceRequest
from app.negotiation import JSON, NDJSON
from app.schemas_v2 import ProtocolError

Responses = dict[int | str, dict[str, Any]]

OCTETS = "application/octet-stream"

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LINES = {
    "schema": {
        "type": "string",
        "description": "lines of JSON, a Frame each; the last may be a Problem: the rest failed",
    },
    "example": '{"position":0.0,"png":"iVBORw0K…"}\n{"position":1.0,"png":"iVBORw0K…"}\n',
}
_COMPONENT = "#/components/schemas/{model}"


def pictures(media_types: Sequence[str], description: str) -> Responses:
    """A 200 answer in any of ``media_types``; JSON's schema is the route's response model."""
    content = {name: _LINES if name == NDJSON else _BINARY for name in media_types if name != JSON}
    return {200: {"description": description, "content": content}}


NOT_MODIFIED: Responses = {304: {"description": "The client has it: `If-None-Match` names it"}}


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
