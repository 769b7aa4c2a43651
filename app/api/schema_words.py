"""Describes in words what a JSON Schema allows."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]

FORM, LIKE = "x-form", "x-like"
"""The keywords with which a schema describes its pattern in words, and shows a text.

Unlike one of ``examples``, that text need not suit every model.
"""
_NUMBERS = {"integer": "an integer", "number": "a number"}
_OTHERS = {"boolean": "true or false", "object": "a JSON object"}


def within(schema: Schema, path: Sequence[str], components: Schema) -> Schema:
    """The schema of the value at ``path``, a list of names and indices, inside ``schema``.

    ``components`` are the schemas that others refer to by name. Raises KeyError if ``schema`` has
    nothing at that path.
    """
    for step in path:
        schema = _child(_resolved(schema, components), step)
    return _resolved(schema, components)


def _child(schema: Schema, step: str) -> Schema:
    """The schema of the value at ``step``."""
    values: Schema | None = schema.get("items") or schema.get("additionalProperties")
    return values or schema["properties"][step]


def _resolved(schema: Schema, components: Schema) -> Schema:
    """``schema`` with its reference resolved, and without the ``null`` of an optional value."""
    others = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    if len(others) == 1:
        about = {name: value for name, value in schema.items() if name != "anyOf"}
        return _resolved({**about, **others[0]}, components)
    reference = schema.get("$ref")
    return components[reference.rpartition("/")[2]] if reference else schema


def words(schema: Schema, *, separated: bool = False) -> str:
    """What ``schema`` allows, in words; a ``separated`` list is one text with commas."""
    if "anyOf" in schema:
        allowed = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return ", or ".join(map(words, allowed))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema["type"]
    if kind in _NUMBERS:
        return _number(schema)
    if kind == "array":
        least, most = schema.get("minItems", 0), schema["maxItems"]
        values = f"{most} values" if least == most else f"{least} to {most} values"
        values = f"{values} separated by commas" if separated else f"a list of {values}"
        return f"{values}, each {words(schema['items'])}"
    if kind == "object" and "maxProperties" in schema:
        least, most = schema.get("minProperties"), schema["maxProperties"]
        count = f"{least} to {most}" if least else f"at most {most}"
        each = words(schema["additionalProperties"])
        return f"a JSON object of {count} values, each {each}"
    return _other(schema)


def _number(schema: Schema) -> str:
    """Which numbers a schema allows."""
    kind, most = _NUMBERS[schema["type"]], f"{schema['maximum']:.12g}"
    if "exclusiveMinimum" in schema:
        return f"{kind} above {schema['exclusiveMinimum']:.12g} and at most {most}"
    least = f"{schema['minimum']:.12g}"
    return most if least == most else f"{kind} from {least} to {most}"


def _other(schema: Schema) -> str:
    """What a schema allows that is neither a number nor a list."""
    if "const" in schema:
        return json.dumps(schema["const"])
    return _OTHERS.get(schema["type"]) or _text(schema)


def _text(schema: Schema) -> str:
    """What a text must look like: an example, and the form in words or else the pattern."""
    if "maxLength" in schema:
        return f"text of at most {schema['maxLength']} characters"
    shown = [schema[LIKE]] if LIKE in schema else schema.get("examples", [])[:1]
    example = "".join(f"like {one}, " for one in shown)
    return f"text {example}of the form {schema.get(FORM) or schema['pattern']}"
