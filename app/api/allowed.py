"""What a JSON schema allows, in words, and what was received, as an answer can tell it."""

import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

# Longer values are told by their beginning. No deeper ones fit in either: a few hundred brackets
# inside each other are more than what writes an answer can follow.
_LONGEST = 400

_NUMBERS = {"integer": "an integer", "number": "a number"}
_OTHERS = {"boolean": "true or false", "object": "a JSON object"}


def within(schema: Schema, path: Sequence[str], components: Schema) -> Schema:
    """The schema of the value at ``path``, names and indices, in what ``schema`` describes.

    ``components`` are the schemas that others refer to by name. Raises KeyError where the path
    leads out of the schema.
    """
    for step in path:
        schema = _inside(_resolved(schema, components), step)
    return _resolved(schema, components)


def _inside(schema: Schema, step: str) -> Schema:
    """What ``schema`` says of its value at ``step``."""
    values: Schema | None = schema.get("items") or schema.get("additionalProperties")
    return values or schema["properties"][step]


def _resolved(schema: Schema, components: Schema) -> Schema:
    """``schema`` without its reference, and without the null of what may be left out."""
    schema = next((s for s in schema.get("anyOf", []) if s.get("type") != "null"), schema)
    reference = schema.get("$ref")
    return components[reference.rpartition("/")[2]] if reference else schema


def words(schema: Schema, *, separated: bool = False) -> str:
    """What ``schema`` allows, for a person; ``separated`` is a list that was sent as one text."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema["type"]
    if kind in _NUMBERS:
        return f"{_NUMBERS[kind]} {_least(schema)} {schema['maximum']:.12g}"
    if kind == "array":
        least, most = schema.get("minItems", 0), schema["maxItems"]
        values = f"{most} values" if least == most else f"{least} to {most} values"
        values = f"{values} separated by commas" if separated else f"a list of {values}"
        return f"{values}, each {words(schema['items'])}"
    if kind == "object" and "maxProperties" in schema:
        each = words(schema["additionalProperties"])
        return f"a JSON object of at most {schema['maxProperties']} values, each {each}"
    examples = "".join(f"{example}, of the form " for example in schema.get("examples", [])[:1])
    return _OTHERS.get(kind) or f"text like {examples}{schema['pattern']}"


def _least(schema: Schema) -> str:
    if "exclusiveMinimum" in schema:
        return f"above {schema['exclusiveMinimum']:.12g} and at most"
    return f"from {schema['minimum']:.12g} to"


def told(value: object) -> object:
    """``value`` where an answer in JSON can carry it, else text of its beginning."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()  # JSON may hold halves of characters, which no text can
    except (TypeError, ValueError, RecursionError):
        return reprlib.repr(value)
    return value if len(text) <= _LONGEST else reprlib.repr(value)
