"""Describes optional parameters in OpenAPI: their defaults in words.

A parameter may be in the query or in the body, so a client that sends its default would contradict
the other place. Clients that are generated from the document would do so, or require a value.
"""

from typing import Any

Schema = dict[str, Any]


def query_without_defaults(parameters: list[Schema]) -> None:
    """Move the defaults of the parameters of an operation into their descriptions."""
    for parameter in parameters:
        _in_words(parameter["schema"], parameter)


def bodies_without_defaults(document: Schema) -> None:
    """Move the defaults in all schemas of request bodies into the descriptions of their fields."""
    components = document["components"]["schemas"]
    operations = (one for path in document["paths"].values() for one in path.values())
    waiting: list[Any] = [one["requestBody"] for one in operations if "requestBody" in one]
    seen: set[str] = set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        if not isinstance(part, dict):
            continue
        for field in part.get("properties", {}).values():
            _in_words(field, field)
        waiting += part.values()
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            waiting.append(components[name])


def _in_words(schema: Schema, described: Schema) -> None:
    default = schema.pop("default", None)
    if default in (None, {}, []):
        return
    if isinstance(default, int | float) and not isinstance(default, bool):
        shown = f"{default:g}"
    else:
        shown = f"`{str(default).lower()}`"
    about = described.get("description")
    described["description"] = f"{about}; default: {shown}" if about else f"default: {shown}"
