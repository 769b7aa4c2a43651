"""How the OpenAPI document describes answers that FastAPI cannot see in a signature."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from app.errors import MEDIA_TYPE, AppError, Problem
from app.negotiation import JSON

Responses = dict[int | str, dict[str, Any]]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_COMPONENT = "#/components/schemas/{model}"


def pictures(media_types: Sequence[str], description: str) -> Responses:
    """A 200 answer in any of ``media_types``; JSON's schema is the route's response model."""
    content = {name: _BINARY for name in media_types if name != JSON}
    return {200: {"description": description, "content": content}}


def problems(*errors: type[AppError]) -> Responses:
    """The error answers of a route, with an example of each."""
    answers: Responses = {}
    for error in errors:
        description = (error.__doc__ or "").partition("\n")[0]
        answer = answers.setdefault(error.status.value, {"description": "", "content": {}})
        answer["description"] = f"{answer['description']} {description}".strip()
        schema = {"$ref": _COMPONENT.format(model="Problem")}
        content = answer["content"].setdefault(MEDIA_TYPE, {"schema": schema, "examples": {}})
        content["examples"][error.__name__] = {"summary": description, "value": _example(error)}
    return answers


def _example(error: type[AppError]) -> dict[str, Any]:
    problem = Problem(
        title=error.status.phrase, status=error.status, detail=error.example, instance="/…"
    )
    return problem.model_dump(mode="json", by_alias=True)


def install(app: FastAPI) -> None:
    """Let ``app``'s document define the Problem, and say that lists are separated by commas."""
    generate = app.openapi
    _, problem = models_json_schema([(Problem, "serialization")], ref_template=_COMPONENT)

    def openapi() -> dict[str, Any]:
        document = generate()
        document["components"]["schemas"].update(problem["$defs"])
        for path in document["paths"].values():
            for operation in path.values():
                for parameter in filter(_is_list, operation.get("parameters", [])):
                    parameter.update(style="form", explode=False)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _is_list(parameter: dict[str, Any]) -> bool:
    schema = parameter["schema"]
    return any(one.get("type") == "array" for one in schema.get("anyOf", [schema]))
