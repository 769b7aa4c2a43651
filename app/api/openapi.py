"""Parts of the OpenAPI document that FastAPI cannot derive from signatures."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from app.api.content_negotiation import JSON, NDJSON
from app.api.formats import Formats
from app.api.openai.errors import ErrorResponse, body, is_openai, status_of
from app.api.optional_parameters import bodies_without_defaults
from app.api.v2.schemas import ProtocolError, is_v2
from app.errors import (
    MEDIA_TYPE,
    PROTOCOL_ERRORS,
    AppError,
    ContentCodingError,
    DeadlineError,
    Problem,
    problem,
)
from app.middleware.request_context import TIMEOUT_HEADER

Responses = dict[int | str, dict[str, Any]]

OCTET_STREAM = "application/octet-stream"


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_LINES = {
    "schema": {
        "type": "string",
        "description": "lines of JSON: one Frame each; if a later frame fails, a Problem ends them",
        "contentMediaType": NDJSON,
        "contentSchema": {"$ref": "#/components/schemas/FrameLine"},
    },
    "example": '{"width":28,"height":28,"png":"iVBORw0K…","position":0.0}\n',
}
_IMAGE_HEADERS = {
    "X-Model": _header("the model that generated it, `name/version`", "fashion-mnist/3"),
    "X-Seed": _header("the first seed, if the request has one", "42"),
    "X-Class": _header("the class of all images, if they have the same", "sneaker"),
    "X-Attributes": _header("the attributes of all images, if they are equal", "glasses,-beard"),
    "Server-Timing": _header(
        "milliseconds; `cache` for a cached image",
        "queue;dur=0.21, compute;dur=3.08, encode;dur=0.35",
    ),
}
_CACHE_HEADERS = {
    "ETag": _header("strong entity tag of the image", '"c6c379c99d237e887e03a24c4b424104"'),
    "Cache-Control": _header(
        "immutable, or `no-cache` for `latest`; `private` if the server requires API keys",
        "public, max-age=31536000, immutable",
    ),
}
_RETRY = {"Retry-After": _header("seconds, if known", "1")}
_RETRIED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
IF_NONE_MATCH = {
    "parameters": [
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "the `ETag` of the client's copy",
            "schema": {"type": "string"},
        }
    ]
}
_FRAME_LINE = {
    "title": "FrameLine",
    "description": "One line of a stream: a Frame, or at its end the Problem that ended it.",
    "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Frame", "Problem")],
}
_PATH_EXAMPLES = {"model": "fashion-mnist", "name": "fashion-mnist", "version": 3, "form": "png"}
"""By the names of parameters in paths whose schemas have none."""
_COMPONENT = "#/components/schemas/{model}"
_OWN_SCHEMAS = "x-schemas"
"""The part of ``openapi_extra`` with schemas, by name, that ``install`` adds to the document."""
_RESPONSE = "#/components/responses/{name}"


def formats(offered: Formats, description: str) -> Responses:
    """A 200 response in any of these formats; JSON's schema is the route's response model."""
    return images(offered.media_types, description)


def images(media_types: Sequence[str], description: str) -> Responses:
    """A 200 response in any of ``media_types``; JSON's schema is the route's response model."""
    content = {name: _LINES if name == NDJSON else _BINARY for name in media_types if name != JSON}
    return {200: {"description": description, "content": content, "headers": _IMAGE_HEADERS}}


def cacheable_images(*media_types: str) -> Responses:
    """A 200 response in any of ``media_types`` that may be cached permanently, or 304."""
    found = images(media_types, "The image")
    found[200]["headers"] = {**_IMAGE_HEADERS, **_CACHE_HEADERS}
    current = "The client's copy is current: `If-None-Match` names it"
    return {**found, 304: {"description": current, "headers": _CACHE_HEADERS}}


def tensors(description: str, header: str) -> Responses:
    """A 200 response: JSON of the route's response model, or such JSON followed by binary data.

    ``header`` is the response header with the length of the JSON.
    """
    length = {
        "description": "length of the JSON in bytes",
        "schema": {"type": "integer", "minimum": 0},
    }
    content = {OCTET_STREAM: _BINARY}
    return {200: {"description": description, "content": content, "headers": {header: length}}}


def json_body(
    model: type[BaseModel], example: dict[str, Any], *, required: bool = True
) -> dict[str, Any]:
    """The ``openapi_extra`` of a route that parses its JSON body itself, with its schemas."""
    schema = {"$ref": _COMPONENT.format(model=model.__name__)}
    content = {JSON: {"schema": schema, "example": example}}
    body = {"required": required, "content": content}
    return {"requestBody": body, _OWN_SCHEMAS: _schemas("validation", model)}


def tensor_body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """The same for a body that may be JSON, or such JSON followed by binary data."""
    described = json_body(model, example)
    described["requestBody"]["content"][OCTET_STREAM] = _BINARY
    return described


def _schemas(mode: JsonSchemaMode, *models: type[BaseModel]) -> dict[str, Any]:
    """The schemas of ``models``, and those to which they refer, by name."""
    named = [(model, mode) for model in models]
    schemas: dict[str, Any] = models_json_schema(named, ref_template=_COMPONENT)[1]["$defs"]
    return schemas


def meaning(error: type[AppError]) -> str:
    """What an error of this kind means, in a sentence."""
    return (error.__doc__ or "").partition("\n")[0].replace("``", "`")


def problems(*errors: type[AppError]) -> Responses:
    """The error responses of a route, with an example of each."""
    return _errors(errors, MEDIA_TYPE, Problem, _example)


def protocol_errors(*errors: type[AppError]) -> Responses:
    """The error responses of a route below ``/v2``."""
    return _errors(errors, JSON, ProtocolError, lambda error: {"error": error.example})


def openai_errors(*errors: type[AppError]) -> Responses:
    """The error responses of a route below ``/v1``."""
    return _errors(errors, JSON, ErrorResponse, _openai_example, status_of)


def errors_below(prefix: str, *errors: type[AppError]) -> Responses:
    """The error responses of a route whose path has this prefix, in the format of its protocol."""
    return _protocol_errors(*errors)[_error_model(prefix)]


def _openai_example(error: type[AppError]) -> dict[str, Any]:
    return body(error.status, error.example, [])


def _errors(
    errors: Sequence[type[AppError]],
    media_type: str,
    model: type[BaseModel],
    example: Callable[[type[AppError]], dict[str, Any]],
    status_of: Callable[[HTTPStatus], HTTPStatus] = lambda status: status,
) -> Responses:
    responses: Responses = {}
    for error in errors:
        description = meaning(error)
        status = status_of(error.status)
        response = responses.setdefault(status.value, {"description": "", "content": {}})
        if status in _RETRIED:
            response["headers"] = _RETRY
        response["description"] = f"{response['description']} {description}".strip()
        schema = {"$ref": _COMPONENT.format(model=model.__name__)}
        content = response["content"].setdefault(media_type, {"schema": schema, "examples": {}})
        content["examples"][error.__name__] = {"summary": description, "value": example(error)}
    return responses


def _example(error: type[AppError]) -> dict[str, Any]:
    found = problem(error, error.example, "/…")
    return found.model_dump(mode="json", by_alias=True)


def install(app: FastAPI, timeout: float) -> None:
    """Add what FastAPI cannot know to the document of ``app``: schemas, lists, headers, errors.

    ``timeout`` is the largest allowed value of the timeout header, in seconds.
    """
    generate = app.openapi
    errors = _schemas("serialization", Problem, ProtocolError, ErrorResponse)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = generate()
        schemas = document["components"]["schemas"]
        schemas |= {**errors, "FrameLine": _FRAME_LINE}
        for path in document["paths"].values():
            for operation in path.values():
                schemas |= operation.pop(_OWN_SCHEMAS, {})
                _complete(operation, timeout)
        bodies_without_defaults(document)
        _remove_422(document)
        _add_protocol_errors(document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], timeout: float) -> None:
    """Add the summary, how lists are written, examples, and the timeout header for images."""
    if description := operation.get("description"):
        operation["summary"] = _summary(description)
    for parameter in operation.get("parameters", []):
        schema = parameter["schema"]
        if parameter["in"] == "path":  # the documentation page sends the example
            (example,) = schema.get("examples") or [_PATH_EXAMPLES.get(parameter["name"])]
            parameter["example"] = str(example) if schema.get("type") == "string" else example
        # FastAPI gives optional parameters the type null too, which no URL or header can express.
        sent = [one for one in schema.pop("anyOf", []) if one.get("type") != "null"]
        schema.update(*sent if len(sent) == 1 else [{"anyOf": sent}] if sent else [])
        if schema.get("type") == "array":
            parameter.update(style="form", explode=False)
    if str(DeadlineError.status.value) in operation["responses"]:
        header = {
            "name": TIMEOUT_HEADER,
            "in": "header",
            "required": False,
            "description": "seconds after which the client no longer needs the response",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": timeout},
        }
        operation.setdefault("parameters", []).append(header)


def _summary(description: str) -> str:
    """The first sentence, as plain text."""
    sentence = re.split(r"[.;:](?:\s|$)", description, maxsplit=1)[0]
    return " ".join(sentence.replace("`", "").split())


def _remove_422(document: dict[str, Any]) -> None:
    """Remove FastAPI's own response to invalid parameters, which routes below ``/v1`` do not give.

    Other routes that have parameters describe theirs.
    """
    for path, operations in document["paths"].items():
        for operation in operations.values() if is_openai(path) else ():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _add_protocol_errors(document: dict[str, Any]) -> None:
    """Add the errors that any request may get: of the HTTP connection, and of a body's coding."""
    errors, of_bodies = _protocol_errors(*PROTOCOL_ERRORS), _protocol_errors(ContentCodingError)
    shared = document["components"]["responses"] = {}
    for path, operations in document["paths"].items():
        model = _error_model(path)
        for operation in operations.values():
            responses = operation["responses"]
            of_body = of_bodies[model] if "requestBody" in operation else {}
            for status, response in {**errors[model], **of_body}.items():
                if own := responses.get(str(status)):
                    _join(own, response)
                    continue
                name = f"{model.__name__}{status}"
                shared[name] = response
                responses[str(status)] = {"$ref": _RESPONSE.format(name=name)}
            operation["responses"] = dict(sorted(responses.items()))


def _protocol_errors(*errors: type[AppError]) -> dict[type[BaseModel], Responses]:
    """The responses to ``errors`` in the formats of all protocols."""
    return {
        Problem: problems(*errors),
        ProtocolError: protocol_errors(*errors),
        ErrorResponse: openai_errors(*errors),
    }


def _error_model(path: str) -> type[BaseModel]:
    if is_v2(path):
        return ProtocolError
    return ErrorResponse if is_openai(path) else Problem


def _join(response: dict[str, Any], other: dict[str, Any]) -> None:
    """Add the description and examples of ``other`` to ``response``."""
    response["description"] += f" {other['description']}"
    for media_type, content in other["content"].items():
        response["content"][media_type]["examples"].update(content["examples"])
